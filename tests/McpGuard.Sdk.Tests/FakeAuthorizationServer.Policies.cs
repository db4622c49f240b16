using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;

namespace McpGuard.Sdk.Tests;

/// <summary>The policies it has guards decide by.</summary>
internal sealed partial class FakeAuthorizationServer
{
    /// <summary>Signs policies; guards pin it when they enrol.</summary>
    public SigningKey PolicyKey { get; set; } = SigningKey.Create();

    /// <summary>Cedar; null: there are none.</summary>
    public string? Policies { get; private set; }

    public string? Shadow { get; private set; }

    /// <summary>The release's number; every change raises it.</summary>
    public long PolicyVersion { get; set; } = 1;

    public int PolicyFetches;

    /// <summary>The last release that a guard was given.</summary>
    public long PolicyServed;

    /// <summary>Changes what is answered about policies, as an attacker would.</summary>
    public Func<PolicyResponse, PolicyResponse>? SpoilPolicy { get; set; }

    /// <summary>Whether policies are answered at all.</summary>
    public bool PolicyDown { get; set; }

    public TimeSpan PolicyLife { get; set; } = TimeSpan.FromHours(24);

    /// <summary>Activates policies, as the server does: a new release, and word of it.</summary>
    public void Activate(string? policies, string? shadow = null)
    {
        (Policies, Shadow) = (policies, shadow);
        PolicyVersion++;
        Changed();
    }

    /// <summary>A release as it is signed now.</summary>
    public PolicyResponse Release(long version, long at, SigningKey? by = null, string? audience = null, string typ = Names.Types.Policy, string? issuer = null)
    {
        PolicyTool[] of = Policies is null && Shadow is null ? [] : [.. definitions.Where(d => tools.TryGetValue(d.Key, out var t) && t.State == "approved").OrderBy(d => d.Key, StringComparer.Ordinal)
            .Select(d => new PolicyTool(d.Key, tools[d.Key].Sensitivity, null, d.Value.GetProperty("inputSchema")))];
        JsonElement body = JsonSerializer.SerializeToElement(
            new PolicyRelease(Policies is null ? null : new(version, Policies), Shadow is null ? null : new(version + 1, Shadow), of), ProtocolJson.Default.PolicyRelease);
        DateTimeOffset now = DateTimeOffset.UtcNow;
        return new((by ?? PolicyKey).Sign(typ, w =>
        {
            w.WriteString("iss", issuer ?? Issuer);
            w.WriteString("aud", audience ?? guards["grd_1"]);
            w.WriteNumber("iat", now.ToUnixTimeSeconds());
            w.WriteNumber("exp", (now + PolicyLife).ToUnixTimeSeconds());
            w.WriteNumber(PolicyClaims.Version, version);
            w.WriteNumber(PolicyClaims.Manifest, at);
            w.WriteString(PolicyClaims.Hash, CanonicalJson.Digest(body));
        }), body);
    }
}
