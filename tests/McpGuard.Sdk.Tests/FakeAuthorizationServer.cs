using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace McpGuard.Sdk.Tests;

/// <summary>An authorization server with real keys, real HTTP and a state that tests move; it believes every guard.</summary>
internal sealed class FakeAuthorizationServer : IAsyncDisposable
{
    public const string Secret = "one-time-secret";
    private static readonly string[] ArgsKeyBytes = [Jose(new byte[32])];

    private readonly WebApplication app;
    private readonly ConcurrentDictionary<string, (string Sensitivity, string? State)> tools = new();
    private readonly List<(long Seq, string Jti, string Set)> feed = [];
    private readonly Lock gate = new();
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously), cut = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long manifest = 1;

    private FakeAuthorizationServer(WebApplication app) => this.app = app;

    public string Issuer { get; private set; } = "";
    public SigningKey Key { get; set; } = SigningKey.Create();

    /// <summary>What the key set holds when it is not <see cref="Key"/>: as of a node that has not heard, or of a cache.</summary>
    public SigningKey? StaleKey { get; set; }
    public List<SpoolEntry> Audit { get; } = [];
    public List<Denied> Snapshot { get; } = [];
    public ConcurrentDictionary<string, bool> Inactive { get; } = new();
    public ConcurrentDictionary<string, int> Budgets { get; } = new();
    public int Enrolments, StreamsOpened, Introspections, KeyFetches, ManifestReports;

    /// <summary>Every connection is cut.</summary>
    public bool Down { get; set; }

    /// <summary>Only polls are cut: the feed goes stale, the rest answers.</summary>
    public bool FeedDown { get; set; }
    public bool KeysGarbage { get; set; }

    /// <summary>Whether the audit channel acknowledges.</summary>
    public bool AuditRefused { get; set; }

    public static async Task<FakeAuthorizationServer> StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        WebApplication app = builder.Build();
        var server = new FakeAuthorizationServer(app);
        server.Map();
        await app.StartAsync();
        server.Issuer = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        return server;
    }

    /// <summary>What the registry holds of a tool; without it a reported tool is new.</summary>
    public void Approve(string tool, string sensitivity, string? state = "approved")
    {
        tools[tool] = (sensitivity, state);
        Interlocked.Increment(ref manifest);
        Notify();
    }

    public void Revoke(string id, string? kind = null, long? before = null) => Event(RevocationEvents.Revoked, id, kind, before);

    /// <summary>The signing key is replaced by a new one, which signs the word on it, as the server does it in an emergency.</summary>
    public string RevokeKey()
    {
        string old = Key.KeyId;
        Key = SigningKey.Create();
        lock (gate) Snapshot.Add(new Denied(RevocationEvents.SigningKey, Id.SigningKey + old, DateTimeOffset.UtcNow.AddHours(1).ToUnixTimeMilliseconds()));
        Revoke(Id.SigningKey + old, RevocationEvents.SigningKey);
        return old;
    }

    /// <summary>Cuts the connections of the polls that hang now; the next ones are answered.</summary>
    public void BreakPolls() => Interlocked.Exchange(ref cut, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();

    public void Lift(string id) => Event(RevocationEvents.Lifted, id, null, null);

    /// <summary>Puts something into the feed that a test made itself.</summary>
    public void Deliver(string jti, string set)
    {
        lock (gate) feed.Add((feed.Count + 1, jti, set));
        Notify();
    }

    public string Set(string jti, string type, string id, string? kind, long? before, SigningKey? by = null, string typ = Names.Types.SecurityEvent, string? audience = null) =>
        (by ?? Key).Sign(typ, w =>
        {
            w.WriteString("iss", Issuer);
            w.WriteString("aud", audience ?? Resource);
            w.WriteNumber("iat", DateTimeOffset.UtcNow.ToUnixTimeSeconds());
            w.WriteString("jti", jti);
            w.WriteStartObject("sub_id");
            w.WriteString("format", kind == "user" ? "iss_sub" : kind == "jti" ? "jwt_id" : "opaque");
            if (kind is "user" or "jti") w.WriteString("iss", Issuer);
            w.WriteString(kind == "user" ? "sub" : kind == "jti" ? "jti" : "id", id);
            w.WriteEndObject();
            w.WriteStartObject("events");
            w.WriteStartObject(type);
            if (kind is not null) w.WriteString("kind", kind);
            w.WriteString("reason", "test");
            w.WriteNumber("until", DateTimeOffset.UtcNow.AddMinutes(10).ToUnixTimeMilliseconds());
            if (before is not null) w.WriteNumber("before", before.Value);
            w.WriteEndObject();
            w.WriteEndObject();
        });

    public string Resource { get; set; } = "";

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

    public IReadOnlyList<AuditEvent> Events()
    {
        lock (gate) return [.. Audit.Select(e => e.Event)];
    }

    /// <summary>Waits until an event like this was delivered.</summary>
    public async Task<AuditEvent> Event(Func<AuditEvent, bool> like)
    {
        for (int i = 0; i < 200; i++)
        {
            if (Events().FirstOrDefault(like) is { } found) return found;
            await Task.Delay(50);
        }
        throw new TimeoutException("No such event; there are: " + string.Join(", ", Events().Select(e => $"{e.Type}/{e.Outcome}/{e.Reason}")));
    }

    private void Event(string type, string id, string? kind, long? before)
    {
        string jti = Id.New(Id.Set, DateTimeOffset.UtcNow);
        Deliver(jti, Set(jti, type, id, kind, before));
    }

    private static void Act(Utf8JsonWriter w, ReadOnlySpan<string> actors)
    {
        w.WriteStartObject("act");
        w.WriteString("sub", actors[0]);
        if (actors.Length > 1) Act(w, actors[1..]);
        w.WriteEndObject();
    }

    private void Notify() => Interlocked.Exchange(ref changed, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();

    private void Map()
    {
        app.Use(async (context, next) =>
        {
            if (Down || (FeedDown && (context.Request.Path == Names.Paths.GuardRevocations || context.Request.Path == Names.Paths.GuardStreams))) context.Abort();
            else await next(context);
        });
        app.MapGet(Names.Paths.OAuthMetadata, () => Json($$"""
            {"issuer":"{{Issuer}}","token_endpoint":"{{Issuer}}/token","introspection_endpoint":"{{Issuer}}/introspect","jwks_uri":"{{Issuer}}/jwks"}
            """));
        app.MapGet(Names.Paths.Jwks, () =>
        {
            Interlocked.Increment(ref KeyFetches);
            return KeysGarbage ? Json("{\"keys\":\"none\"}") : Json($"{{\"keys\":[{WithKid(StaleKey ?? Key)}]}}");
        });
        app.MapPost(Names.Paths.Token, () => Json("""{"access_token":"guard","token_type":"DPoP","expires_in":300}"""));
        app.MapPost(Names.Paths.GuardEnroll, async (HttpContext c) =>
        {
            EnrollRequest request = (await c.Request.ReadFromJsonAsync(ProtocolJson.Default.EnrollRequest))!;
            if (request.EnrolmentSecret != Secret || Interlocked.Increment(ref Enrolments) > 1) return Results.StatusCode(401);
            return Results.Json(new EnrollResponse("grd_1", "srv_1", request.Resource, ArgsKey), ProtocolJson.Default.EnrollResponse);
        });
        app.MapPost(Names.Paths.GuardStreams, () =>
        {
            Interlocked.Increment(ref StreamsOpened);
            lock (gate) return Results.Json(new StreamResponse("str_1", feed.Count, [.. Snapshot], ArgsKey), ProtocolJson.Default.StreamResponse);
        });
        app.MapPost(Names.Paths.GuardRevocations, (Delegate)Poll);
        app.MapPost(Names.Paths.GuardManifest, async (HttpContext c) =>
        {
            ManifestRequest request = (await c.Request.ReadFromJsonAsync(ProtocolJson.Default.ManifestRequest))!;
            Interlocked.Increment(ref ManifestReports);
            return Results.Json(new ManifestResponse(Interlocked.Read(ref manifest), [.. request.Tools.Select(State)]), ProtocolJson.Default.ManifestResponse);
        });
        app.MapPost(Names.Paths.GuardAudit, async (HttpContext c) =>
        {
            GuardAuditRequest request = (await c.Request.ReadFromJsonAsync(ProtocolJson.Default.GuardAuditRequest))!;
            if (AuditRefused) return Results.StatusCode(503);
            lock (gate)
            {
                foreach (SpoolEntry entry in request.Entries.Where(e => e.Seq == Audit.Count + 1)) Audit.Add(entry);
                return Results.Json(new GuardAuditResponse(Audit.Count), ProtocolJson.Default.GuardAuditResponse);
            }
        });
        app.MapPost(Names.Paths.GuardBudgets, async (HttpContext c) =>
        {
            BudgetRequest request = (await c.Request.ReadFromJsonAsync(ProtocolJson.Default.BudgetRequest))!;
            bool granted = Budgets.AddOrUpdate(request.Tool, -1, (_, left) => left - 1) >= 0;
            return Results.Json(new BudgetResponse(granted ? 1 : 0), ProtocolJson.Default.BudgetResponse);
        });
        app.MapPost(Names.Paths.Introspect, async (HttpContext c) =>
        {
            Interlocked.Increment(ref Introspections);
            IFormCollection form = await c.Request.ReadFormAsync();
            string jti = JsonDocument.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(form["token"].ToString().Split('.')[1])).RootElement.GetProperty("jti").GetString()!;
            return Results.Json(new IntrospectionResponse(!Inactive.ContainsKey(jti), jti), ProtocolJson.Default.IntrospectionResponse);
        });
    }

    private async Task<IResult> Poll(HttpContext context)
    {
        RevocationsRequest request = (await context.Request.ReadFromJsonAsync(ProtocolJson.Default.RevocationsRequest))!;
        Task next = Volatile.Read(ref changed).Task, broken = Volatile.Read(ref cut).Task;
        if (!Any(request.After)) await Task.WhenAny(next, broken, Task.Delay(Limits.LongPoll));
        if (broken.IsCompleted)
        {
            context.Abort();
            return Results.Empty;
        }
        lock (gate)
        {
            var sets = feed.Where(f => f.Seq > request.After).Take(request.MaxEvents).ToList();
            return Results.Json(
                new RevocationsResponse(sets.ToDictionary(s => s.Jti, s => s.Set), sets.ToDictionary(s => s.Jti, s => s.Seq), feed.Count,
                    sets.Count > 0 && sets[^1].Seq < feed.Count, Interlocked.Read(ref manifest)),
                ProtocolJson.Default.RevocationsResponse);
        }
    }

    private bool Any(long after)
    {
        lock (gate) return feed.Count > after;
    }

    private ManifestToolState State(ManifestTool tool) => tools.TryGetValue(tool.Name, out (string Sensitivity, string? State) known)
        ? new(tool.Name, known.State!, known.Sensitivity, CanonicalJson.Digest(tool.Definition)) : new(tool.Name, "new", "destructive", null);

    private static ArgsKey ArgsKey => new(1, ArgsKeyBytes[0]);

    private static string WithKid(SigningKey key)
    {
        var jwk = System.Text.Json.Nodes.JsonNode.Parse(key.Public.Jwk.GetRawText())!.AsObject();
        jwk["kid"] = key.KeyId;
        return jwk.ToJsonString();
    }

    private static string Jose(byte[] bytes) => McpAuth.Protocol.Jose.Base64Url.Encode(bytes);

    private static IResult Json(string text) => Results.Text(text, "application/json", Encoding.UTF8);

    /// <summary>Checks the whole chain as the server would.</summary>
    public void VerifyChain(string guardId = "grd_1")
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(guardId));
        lock (gate)
        {
            foreach (SpoolEntry entry in Audit)
            {
                Assert.Equal(Jose(hash), entry.Prev);
                byte[] canonical = CanonicalJson.ToBytes(JsonSerializer.SerializeToElement(entry.Event, ProtocolJson.Default.AuditEvent));
                hash = SHA256.HashData([.. hash, .. canonical]);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        Down = true;
        Notify();
        await app.StopAsync(new CancellationTokenSource(TimeSpan.FromSeconds(2)).Token);
        await app.DisposeAsync();
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
