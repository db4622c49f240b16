using System.Text.Json;
using System.Text.Json.Serialization;

namespace McpAuth.Protocol.Messages;

/// <summary>
/// <c>GET /guard/policy</c>: what decides calls at this guard's tool server. Answered with an <c>ETag</c>, and by 304 to whoever names it in <c>If-None-Match</c>.
/// </summary>
/// <param name="Signed">A JWS of type <see cref="Names.Types.Policy"/> whose claims are <see cref="PolicyClaims"/>.</param>
/// <param name="Release">A <see cref="PolicyRelease"/>, exactly as its hash was taken.</param>
public sealed record PolicyResponse(
    [property: JsonPropertyName("signed")] string Signed,
    [property: JsonPropertyName("release")] JsonElement Release);

/// <summary>Claims of signed policies beside <c>iss</c>, <c>aud</c> (the tool server), <c>iat</c> and <c>exp</c> (a day later).</summary>
public static class PolicyClaims
{
    /// <summary>Grows with every release, a rollback included: a guard never goes back.</summary>
    public const string Version = "version";

    /// <summary>The manifest's number up to which the release holds.</summary>
    public const string Manifest = "manifest";

    /// <summary><c>sha-256:</c> and the base64url SHA-256 of the release's RFC 8785 form.</summary>
    public const string Hash = "hash";
}

/// <summary>Everything a decision depends on but the call itself. With no policies, authority alone decides.</summary>
/// <param name="Policies">Those that decide.</param>
/// <param name="Shadow">Those that only say what they would decide.</param>
/// <param name="Tools">The approved tools, by name; empty without policies.</param>
public sealed record PolicyRelease(
    [property: JsonPropertyName("policies")] PolicyText? Policies,
    [property: JsonPropertyName("shadow")] PolicyText? Shadow,
    [property: JsonPropertyName("tools")] IReadOnlyList<PolicyTool> Tools);

/// <param name="Version">Which version of the tool server's policies.</param>
/// <param name="Text">Cedar.</param>
public sealed record PolicyText([property: JsonPropertyName("version")] long Version, [property: JsonPropertyName("text")] string Text);

public sealed record PolicyTool(
    [property: JsonPropertyName("name")] string Name,
    [property: JsonPropertyName("sensitivity")] string Sensitivity,
    [property: JsonPropertyName("class")] string? Class,
    [property: JsonPropertyName("input_schema")] JsonElement InputSchema);
