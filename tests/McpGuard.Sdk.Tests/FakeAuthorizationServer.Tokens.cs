using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;

namespace McpGuard.Sdk.Tests;

/// <summary>The tokens it signs.</summary>
internal sealed partial class FakeAuthorizationServer
{
    /// <summary>A token as wire.md has it, changed by the test.</summary>
    public string Token(TokenShape? shape = null)
    {
        TokenShape t = shape ?? new();
        return (t.By ?? Key).Sign(t.Typ, w =>
        {
            w.WriteString("iss", t.Iss ?? Issuer);
            if (t.Audiences is not null)
            {
                w.WriteStartArray("aud");
                foreach (string a in t.Audiences) w.WriteStringValue(a);
                w.WriteEndArray();
            }
            else
            {
                w.WriteString("aud", t.Aud ?? Resource);
            }
            w.WriteString("sub", t.Sub);
            w.WriteString("sub_profile", t.Sub.StartsWith("agt_", StringComparison.Ordinal) ? "ai_agent" : "user");
            w.WriteString("client_id", t.Client);
            w.WriteNumber("iat", (t.IssuedAt ?? DateTimeOffset.UtcNow).ToUnixTimeSeconds());
            w.WriteNumber("exp", (t.Expires ?? (t.IssuedAt ?? DateTimeOffset.UtcNow).AddMinutes(5)).ToUnixTimeSeconds());
            w.WriteString("jti", t.Jti);
            if (t.Scope is not null) w.WriteString("scope", t.Scope);
            if (t.StepUp) w.WriteBoolean("step_up", true);
            if (t.Actors.Length > 0) Act(w, t.Actors);
            if (t.Groups.Length > 0)
            {
                w.WriteStartArray("groups");
                foreach (string group in t.Groups) w.WriteStringValue(group);
                w.WriteEndArray();
            }
            if (t.Cnf is not null)
            {
                w.WritePropertyName("cnf");
                w.WriteRawValue(t.Cnf);
            }
            else if (t.Jkt is not null || t.Certificate is not null)
            {
                w.WriteStartObject("cnf");
                if (t.Jkt is not null) w.WriteString("jkt", t.Jkt);
                if (t.Certificate is not null) w.WriteString("x5t#S256", t.Certificate);
                w.WriteEndObject();
            }
            if (t.Details is not null)
            {
                w.WritePropertyName("authorization_details");
                w.WriteRawValue(t.Details);
            }
            if (t.Task is not null)
            {
                w.WriteStartObject("task");
                w.WriteString("id", t.Task);
                w.WriteEndObject();
            }
            w.WriteString("grant", t.Grant);
            w.WriteStartArray("lineage");
            foreach (string l in t.Lineage) w.WriteStringValue(l);
            w.WriteEndArray();
            if (t.Instance is not null)
            {
                w.WriteStartObject("agent_ctx");
                w.WriteString("instance", t.Instance);
                w.WriteEndObject();
            }
        });
    }

    private static void Act(Utf8JsonWriter w, ReadOnlySpan<string> actors)
    {
        w.WriteStartObject("act");
        w.WriteString("sub", actors[0]);
        if (actors.Length > 1) Act(w, actors[1..]);
        w.WriteEndObject();
    }
}

/// <summary>What a test wants in a token; the rest is right.</summary>
internal sealed record TokenShape
{
    public string Jti { get; init; } = Id.New(Id.AccessToken, DateTimeOffset.UtcNow);
    public string Typ { get; init; } = Names.Types.AccessToken;
    public string? Iss { get; init; }
    public string? Aud { get; init; }
    public string[]? Audiences { get; init; }
    public string Sub { get; init; } = "usr_7";
    public string Client { get; init; } = "https://agent.example/client.json";
    public string[] Actors { get; init; } = [];
    public string[] Groups { get; init; } = [];
    public DateTimeOffset? IssuedAt { get; init; }
    public DateTimeOffset? Expires { get; init; }
    public string? Scope { get; init; } = "tools:read";
    public bool StepUp { get; init; }
    public string? Jkt { get; init; }

    /// <summary>The thumbprint of the certificate it is bound to.</summary>
    public string? Certificate { get; init; }

    /// <summary>In place of both, as JSON.</summary>
    public string? Cnf { get; init; }
    public string? Details { get; init; }
    public string? Task { get; init; } = "tsk_1";
    public string Grant { get; init; } = "grt_5";
    public string[] Lineage { get; init; } = ["grt_4", "tsk_0", "ins_2"];
    public string? Instance { get; init; } = "ins_3";
    public SigningKey? By { get; init; }
}
