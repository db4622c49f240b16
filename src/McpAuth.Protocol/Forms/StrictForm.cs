using System.Diagnostics.CodeAnalysis;

namespace McpAuth.Protocol.Forms;

/// <summary>
/// An <c>application/x-www-form-urlencoded</c> body read once (RFC 6749 §3.2, Appendix B): names are case-sensitive, a name that
/// stands twice is an error unless it may repeat, an empty value counts as absent, percent-encoding must be valid UTF-8 without NUL.
/// </summary>
public sealed class StrictForm
{
    /// <param name="body">The whole body.</param>
    /// <param name="repeatable">Names that may stand more than once (RFC 8707 <c>resource</c>, RFC 8693 <c>audience</c>).</param>
    /// <param name="maxFields">More fields than this is <c>too_many_fields</c>.</param>
    /// <remarks>Codes: <c>duplicate_parameter</c>, <c>malformed_form</c>, <c>too_many_fields</c>.</remarks>
    public static Result<StrictForm> Parse(ReadOnlySpan<byte> body, IReadOnlySet<string> repeatable, int maxFields = 64) => throw new NotImplementedException();

    /// <summary>The single value, or null when the parameter is absent or empty.</summary>
    public string? this[string name] => throw new NotImplementedException();

    public IReadOnlyList<string> Values(string name) => throw new NotImplementedException();

    public bool TryGet(string name, [NotNullWhen(true)] out string? value) => throw new NotImplementedException();

    public IEnumerable<string> Names => throw new NotImplementedException();
}
