using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using McpAuth.Cedar;
using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Policies;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using McpGuard.Sdk.Calls;
using Claims = McpAuth.Protocol.Names.Claims;

namespace McpGuard.Sdk.Policy;

/// <summary>One release of policies, verified and ready to decide. Immutable.</summary>
/// <param name="Version">Grows with every release.</param>
/// <param name="Manifest">The manifest's number up to which it holds.</param>
/// <param name="Hash">What decisions name.</param>
/// <param name="Policies">Null: authority alone decides.</param>
internal sealed record PolicySnapshot(
    long Version, long Manifest, string Hash, DateTimeOffset IssuedAt, DateTimeOffset ExpiresAt, ToolCallAuthorizer? Policies, (long Version, ToolCallAuthorizer Policies)? Shadow)
{
    private static readonly JwtRules Rules = new("policy", [Names.Types.Policy], TypeRequired: true, ["ES256"]);

    private readonly ConcurrentDictionary<string, string[]> single = new(StringComparer.Ordinal);

    /// <summary>Reads what the server sent, or what was kept of it. Codes: those of <see cref="StrictJwt"/>, <c>bad_signature</c>, <c>foreign_issuer</c>,
    /// <c>wrong_audience</c>, <c>invalid_claims</c>, <c>wrong_hash</c>, <c>invalid_policies</c>.</summary>
    /// <param name="key">The one that was pinned when the guard enrolled.</param>
    public static Result<PolicySnapshot> Read(PolicyResponse response, VerificationKey key, string issuer, string resource)
    {
        if (!StrictJwt.Read(response.Signed, Rules).TryGet(out StrictJwt? jwt, out Fault? fault)) return fault;
        if (!key.Verify(jwt)) return new Fault(Names.Reasons.BadSignature, "The signature is not that of the pinned key.");
        if (jwt.Text(Claims.Iss) != issuer) return new Fault(Names.Reasons.Foreign, "Another issuer's policies.");
        if (jwt.Audiences is not [var audience] || audience != resource) return new Fault("wrong_audience", "The policies are not this tool server's.");
        if (jwt.Time(Claims.Iat) is not { } issued || jwt.Time(Claims.Exp) is not { } expires
            || !Number(jwt, PolicyClaims.Version, out long version) || !Number(jwt, PolicyClaims.Manifest, out long manifest) || jwt.Text(PolicyClaims.Hash) is not { } hash)
            return new Fault("invalid_claims", "The claims of the policies are not as they must be.");
        if (CanonicalJson.Digest(response.Release) != hash) return new Fault("wrong_hash", "The policies are not those that were signed.");
        try
        {
            PolicyRelease release = response.Release.Deserialize(ProtocolJson.Default.PolicyRelease)!;
            ToolServerModel? model = release.Policies is null && release.Shadow is null ? null : Model(release.Tools);
            return new PolicySnapshot(version, manifest, hash, issued, expires,
                release.Policies is { } active ? Compile(active, model!) : null, release.Shadow is { } shadow ? (shadow.Version, Compile(shadow, model!)) : null);
        }
        catch (Exception e) when (e is JsonException or CedarException or NullReferenceException or ArgumentException)
        {
            return new Fault("invalid_policies", "The policies cannot be read.");
        }
    }

    /// <summary>The ids as an array that may be kept; one alone costs nothing the second time.</summary>
    public string[] Keep(IReadOnlyList<string> ids) => ids.Count switch
    {
        0 => [],
        1 => single.GetOrAdd(ids[0], static id => [id]),
        _ => [.. ids],
    };

    private static ToolCallAuthorizer Compile(PolicyText policies, ToolServerModel model) => new(PolicySet.Parse(policies.Text, PolicyIds.FromAnnotation).Value, model);

    private static ToolServerModel Model(IReadOnlyList<PolicyTool> tools) => ToolServerModel.Create(tools.Select(t => new McpTool(
        t.Name, Encoding.UTF8.GetBytes(t.InputSchema.GetRawText()),
        t.Sensitivity switch { Sensitivities.Read => ToolSensitivity.Read, Sensitivities.Write => ToolSensitivity.Write, _ => ToolSensitivity.Destructive }, t.Class))).Value;

    private static bool Number(StrictJwt jwt, string claim, out long number)
    {
        number = 0;
        return jwt.Payload.TryGetProperty(claim, out JsonElement value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out number) && number >= 0;
    }
}
