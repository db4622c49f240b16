using System.Buffers;
using System.Globalization;
using System.Text;

namespace McpGuard.Sdk.Audit;

/// <summary>
/// One audit event of the guard. User, agent, client and task are the server's to fill in from <see cref="Jti"/>. Nothing here may hold
/// an argument, a token or text from a caller that was not validated.
/// </summary>
internal sealed class GuardEvent
{
    public required string Id { get; init; }
    public required long Time { get; init; }
    public required string Type { get; init; }
    public required string Outcome { get; init; }
    public string? ArgsDigest { get; init; }
    public string? Cause { get; init; }
    /// <summary>How many events this one stands for; 0 = not written.</summary>
    public int Count { get; init; }
    public string? Method { get; init; }
    public string? Decision { get; init; }
    public string? Jti { get; init; }
    public string? Node { get; init; }
    public string? PolicyHash { get; init; }
    public IReadOnlyList<string>? PolicyIds { get; init; }
    public string? Reason { get; init; }
    public string? Resource { get; init; }
    public string? SpanId { get; init; }
    public string? Tool { get; init; }
    public string? TraceId { get; init; }

    /// <summary>
    /// Writes the RFC 8785 form of the <see cref="McpAuth.Protocol.Audit.AuditEvent"/> directly, members in its order: the chain's hash
    /// is taken over exactly these bytes, on the path of every call.
    /// </summary>
    public void WriteCanonical(IBufferWriter<byte> output)
    {
        bool first = true;
        output.Write("{"u8);
        Text(output, ref first, "\"args_digest\":"u8, ArgsDigest);
        Text(output, ref first, "\"cause\":"u8, Cause);
        if (Count > 0 || Method is not null)
        {
            Name(output, ref first, "\"data\":"u8);
            bool inner = true;
            output.Write("{"u8);
            if (Count > 0)
            {
                Name(output, ref inner, "\"count\":"u8);
                Number(output, Count);
            }
            Text(output, ref inner, "\"method\":"u8, Method);
            output.Write("}"u8);
        }
        Text(output, ref first, "\"decision\":"u8, Decision);
        Text(output, ref first, "\"id\":"u8, Id);
        Text(output, ref first, "\"jti\":"u8, Jti);
        Text(output, ref first, "\"node\":"u8, Node);
        Text(output, ref first, "\"outcome\":"u8, Outcome);
        Text(output, ref first, "\"policy_hash\":"u8, PolicyHash);
        if (PolicyIds is not null)
        {
            Name(output, ref first, "\"policy_ids\":"u8);
            output.Write("["u8);
            for (int i = 0; i < PolicyIds.Count; i++)
            {
                if (i > 0) output.Write(","u8);
                Quoted(output, PolicyIds[i]);
            }
            output.Write("]"u8);
        }
        Text(output, ref first, "\"reason\":"u8, Reason);
        Text(output, ref first, "\"resource\":"u8, Resource);
        Text(output, ref first, "\"span_id\":"u8, SpanId);
        Name(output, ref first, "\"time\":"u8);
        Number(output, Time);
        Text(output, ref first, "\"tool\":"u8, Tool);
        Text(output, ref first, "\"trace_id\":"u8, TraceId);
        Text(output, ref first, "\"type\":"u8, Type);
        output.Write("}"u8);
    }

    private static void Name(IBufferWriter<byte> output, ref bool first, ReadOnlySpan<byte> name)
    {
        if (!first) output.Write(","u8);
        first = false;
        output.Write(name);
    }

    private static void Text(IBufferWriter<byte> output, ref bool first, ReadOnlySpan<byte> name, string? value)
    {
        if (value is null) return;
        Name(output, ref first, name);
        Quoted(output, value);
    }

    private static void Number(IBufferWriter<byte> output, long value)
    {
        Span<byte> span = output.GetSpan(20);
        value.TryFormat(span, out int written, default, CultureInfo.InvariantCulture);
        output.Advance(written);
    }

    /// <summary>RFC 8785 §3.2.2.2: only quotation mark, backslash and control characters are escaped, the latter in lower case.</summary>
    private static void Quoted(IBufferWriter<byte> output, string value)
    {
        Span<byte> span = output.GetSpan(2 + value.Length * 6);
        int at = 0;
        span[at++] = (byte)'"';
        if (Ascii.IsValid(value) && value.AsSpan().IndexOfAny(Escaped) < 0)
        {
            at += Encoding.ASCII.GetBytes(value, span[at..]);
        }
        else
        {
            foreach (Rune rune in value.EnumerateRunes())
            {
                ReadOnlySpan<byte> escape = rune.Value switch
                {
                    '"' => "\\\""u8, '\\' => "\\\\"u8, '\b' => "\\b"u8, '\f' => "\\f"u8, '\n' => "\\n"u8, '\r' => "\\r"u8, '\t' => "\\t"u8, _ => default,
                };
                if (escape.Length == 0 && rune.Value < ' ') escape = Encoding.ASCII.GetBytes($"\\u{rune.Value:x4}");
                if (escape.Length > 0)
                {
                    escape.CopyTo(span[at..]);
                    at += escape.Length;
                }
                else
                {
                    at += rune.EncodeToUtf8(span[at..]);
                }
            }
        }
        span[at++] = (byte)'"';
        output.Advance(at);
    }

    private static readonly SearchValues<char> Escaped = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Select(c => (char)c), '"', '\\']);
}
