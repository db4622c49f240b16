using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Federation;

/// <summary>
/// What an identity provider says of a person to a client (an identity assertion authorization grant), verified: who they are there, and what the
/// enterprise lets the client do for them.
/// </summary>
/// <param name="Once">Its <c>jti</c>, used up with what comes of it.</param>
/// <param name="Resources">Those it is good for; at least one.</param>
/// <param name="Scope">Null when it says nothing of scopes.</param>
/// <param name="Details">Null when it says nothing of authorization_details.</param>
/// <param name="Key">The thumbprint of the key that must be proven; null when it is nobody's.</param>
/// <param name="AuthTime">When the person signed in there.</param>
/// <param name="Email">Verified by the provider; else null.</param>
/// <param name="Name">For people; null when it says none.</param>
/// <param name="Groups">As the provider names them.</param>
internal sealed record IdJag(
    IdentityProviderRecord Provider, string Subject, string Jti, Once Once, IReadOnlyList<string> Resources, string? Scope, Authority? Details, string? Key,
    DateTimeOffset? AuthTime, string? Email, string? Name, IReadOnlyList<string> Groups)
{
    /// <summary>Whether a token calls itself one: that alone tells it from what platforms say of programs. Nothing else of it is read.</summary>
    public static bool Is(string token) =>
        token.Length <= Limits.JwtLength && token.IndexOf('.', StringComparison.Ordinal) is > 0 and var end
        && Base64Url.TryDecode(token.AsSpan(0, end), out var bytes) && StrictJson.Parse(bytes, new JsonLimits(Limits.JwtLength)).TryGet(out var header, out _)
        && header.ValueKind == JsonValueKind.Object && header.TryGetProperty("typ", out var type) && type.ValueKind == JsonValueKind.String
        // RFC 7515 §4.1.9: a media type, whose case means nothing, with or without its first part.
        && type.GetString() is { } said && (said.Equals(Names.IdJag.Type, StringComparison.OrdinalIgnoreCase) || said.Equals("application/" + Names.IdJag.Type, StringComparison.OrdinalIgnoreCase));
}
