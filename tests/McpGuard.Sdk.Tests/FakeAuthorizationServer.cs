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
internal sealed partial class FakeAuthorizationServer : IAsyncDisposable
{
    public const string Secret = "one-time-secret";
    private const string TokenOf = "guard-";
    private static readonly string[] ArgsKeyBytes = [Jose(new byte[32])];

    private readonly WebApplication app;
    private readonly ConcurrentDictionary<string, (string Sensitivity, string? State, string? Approval)> tools = new();
    private readonly ConcurrentDictionary<string, JsonElement> definitions = new();
    private readonly ConcurrentDictionary<string, string> pinned = new();
    private readonly List<(long Seq, string Jti, string Set)> feed = [];
    private readonly Lock gate = new();
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously), cut = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentDictionary<string, string> guards = new();
    private long manifest = 1;

    private FakeAuthorizationServer(WebApplication app) => this.app = app;

    public string Issuer { get; private set; } = "";
    public SigningKey Key { get; set; } = SigningKey.Create();

    /// <summary>What the key set holds when it is not <see cref="Key"/>: as of a node that has not heard, or of a cache.</summary>
    public SigningKey? StaleKey { get; set; }
    public List<SpoolEntry> Audit { get; } = [];
    public List<Denied> Snapshot { get; } = [];
    public ConcurrentDictionary<string, bool> Inactive { get; } = new();

    /// <summary>The forms of all exchanges.</summary>
    public ConcurrentQueue<IReadOnlyDictionary<string, string>> Exchanges { get; } = new();

    /// <summary>How exchanges are refused; null: they are granted.</summary>
    public (int Status, string Error, string? Reason)? ExchangeRefused { get; set; }

    /// <summary>What an exchange waits for before it is answered.</summary>
    public Task ExchangeHeld { get; set; } = Task.CompletedTask;

    public int ExchangedSeconds { get; set; } = 300;

    /// <summary>Calls left of each tool; also what is locked for what follows.</summary>
    public Dictionary<string, int> Budgets { get; } = [];
    public Dictionary<string, (string Tool, int Calls)> Leases { get; } = [];
    public int BudgetRequests, Returned, LeaseSeconds = 30;

    /// <summary>Every question for a person's yes.</summary>
    public ConcurrentQueue<ApprovalRequest> Held { get; } = new();

    /// <summary>What becomes of a question; null is a failure. By default a person is asked, the caller's own.</summary>
    public Func<ApprovalRequest, Task<ApprovalResponse?>> Approval { get; set; } = _ => Task.FromResult<ApprovalResponse?>(Waiting());

    public const string ApprovalUrl = "https://auth.test/approvals/apr_1";

    public static ApprovalResponse Waiting(bool own = true) => new(ApprovalStates.Waiting, "apr_1", ApprovalUrl, 600, own);
    public int Enrolments, StreamsOpened, Introspections, KeyFetches, ManifestReports;

    /// <summary>Whether more than one guard may enrol.</summary>
    public bool ManyGuards { get; set; }

    /// <summary>Whether the first definition of a tool that is reported is the approved one, as it is in life; otherwise whatever is reported is.</summary>
    public bool Pins { get; set; }

    /// <summary>Runs between a report's answer being made and being sent.</summary>
    public Func<Task>? ManifestAnswered { get; set; }

    /// <summary>Whether it is in developer mode: whatever is reported is approved, as one that writes.</summary>
    public bool Develops { get; set; }

    /// <summary>Every connection is cut.</summary>
    public bool Down { get; set; }

    /// <summary>Only polls are cut: the feed goes stale, the rest answers.</summary>
    public bool FeedDown { get; set; }

    /// <summary>How far its clock is from this machine's; it says so and nothing else.</summary>
    public TimeSpan Ahead { get; set; }
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
    public void Approve(string tool, string sensitivity, string? state = "approved", string? approval = null)
    {
        tools[tool] = (sensitivity, state, approval);
        Interlocked.Increment(ref manifest);
        Notify();
    }

    /// <summary>Says that something changed.</summary>
    public void Changed()
    {
        Interlocked.Increment(ref manifest);
        Notify();
    }

    /// <summary>An administrator approves the tool as it is reported next.</summary>
    public void ApproveAgain(string tool)
    {
        pinned.TryRemove(tool, out _);
        Interlocked.Increment(ref manifest);
        Notify();
    }

    public string Resource { get; set; } = "";

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
        app.MapPost(Names.Paths.Token, async (HttpContext c) =>
        {
            IFormCollection form = await c.Request.ReadFormAsync();
            if (form["grant_type"] == Names.Exchange.GrantType) return await Exchange(c, form);
            string assertion = form[Names.ClientAssertion.Parameter].ToString();
            string guard = JsonDocument.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(assertion.Split('.')[1])).RootElement.GetProperty("sub").GetString()!;
            return Json($$"""{"access_token":"{{TokenOf}}{{guard}}","token_type":"DPoP","expires_in":300}""");
        });
        app.MapPost(Names.Paths.GuardEnroll, async (HttpContext c) =>
        {
            EnrollRequest request = (await c.Request.ReadFromJsonAsync(ProtocolJson.Default.EnrollRequest))!;
            if (request.EnrolmentSecret != Secret || (Interlocked.Increment(ref Enrolments) > 1 && !ManyGuards)) return Results.StatusCode(401);
            string guard = $"grd_{guards.Count + 1}";
            guards[guard] = request.Resource;
            return Results.Json(new EnrollResponse(guard, "srv_1", request.Resource, ArgsKey, PolicyKey.Public.Jwk), ProtocolJson.Default.EnrollResponse);
        });
        app.MapPost(Names.Paths.GuardStreams, () =>
        {
            Interlocked.Increment(ref StreamsOpened);
            lock (gate) return Results.Json(new StreamResponse("str_1", feed.Count, [.. Snapshot], ArgsKey, Now), ProtocolJson.Default.StreamResponse);
        });
        app.MapPost(Names.Paths.GuardRevocations, (Delegate)Poll);
        app.MapPost(Names.Paths.GuardManifest, async (HttpContext c) =>
        {
            ManifestRequest request = (await c.Request.ReadFromJsonAsync(ProtocolJson.Default.ManifestRequest))!;
            Interlocked.Increment(ref ManifestReports);
            foreach (ManifestTool tool in request.Tools) definitions[tool.Name] = tool.Definition;
            var answer = new ManifestResponse(Interlocked.Read(ref manifest), [.. request.Tools.Select(State)], Develops ? [.. request.Tools.Where(Unseen).Select(t => t.Name)] : null);
            if (ManifestAnswered is { } hold) await hold();
            return Results.Json(answer, ProtocolJson.Default.ManifestResponse);
        });
        app.MapGet(Names.Paths.GuardPolicy, (HttpContext c) =>
        {
            Interlocked.Increment(ref PolicyFetches);
            if (PolicyDown) return Results.StatusCode(500);
            (long version, long at) = (PolicyVersion, Interlocked.Read(ref manifest));
            string tag = $"\"{version}.{at}\"";
            if (SpoilPolicy is null && c.Request.Headers.IfNoneMatch == tag) return Results.StatusCode(304);
            c.Response.Headers.ETag = tag;
            string guard = c.Request.Headers.Authorization.ToString().Split(TokenOf)[^1];
            PolicyResponse answer = Release(version, at, audience: guards[guard]);
            Interlocked.Exchange(ref PolicyServed, version);
            return Results.Json(SpoilPolicy?.Invoke(answer) ?? answer, ProtocolJson.Default.PolicyResponse);
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
            lock (Budgets)
            {
                BudgetRequests++;
                int left = Budgets.GetValueOrDefault(request.Tool), granted = left < 1 ? 0 : Math.Max(1, Math.Min(request.UpTo ?? 1, left / 4));
                Budgets[request.Tool] = left - granted;
                string? lease = granted > 1 ? $"bls_{BudgetRequests}" : null;
                if (lease is not null) Leases[lease] = (request.Tool, granted - 1);
                return Results.Json(new BudgetResponse(granted, granted == 0 ? Names.Denials.BudgetSpent : null, lease, lease is null ? null : LeaseSeconds), ProtocolJson.Default.BudgetResponse);
            }
        });
        app.MapPost(Names.Paths.GuardBudgetReturns, async (HttpContext c) =>
        {
            BudgetReturnsRequest request = (await c.Request.ReadFromJsonAsync(ProtocolJson.Default.BudgetReturnsRequest))!;
            lock (Budgets)
                foreach (ReturnedLease lease in request.Leases)
                {
                    (string tool, int calls) = Leases[lease.Lease];
                    Leases.Remove(lease.Lease);
                    if (lease.Unused > calls) throw new InvalidOperationException("More is returned than was leased.");
                    Budgets[tool] += lease.Unused;
                    Returned += lease.Unused;
                }
            return Results.Json(new BudgetReturnsResponse(request.Leases.Count), ProtocolJson.Default.BudgetReturnsResponse);
        });
        app.MapPost(Names.Paths.GuardApprovals, async (HttpContext c) =>
        {
            ApprovalRequest request = (await c.Request.ReadFromJsonAsync(ProtocolJson.Default.ApprovalRequest))!;
            Held.Enqueue(request);
            return await Approval(request) is { } answer ? Results.Json(answer, ProtocolJson.Default.ApprovalResponse) : Results.StatusCode(500);
        });
        app.MapPost(Names.Paths.Introspect, async (HttpContext c) =>
        {
            Interlocked.Increment(ref Introspections);
            IFormCollection form = await c.Request.ReadFormAsync();
            string jti = JsonDocument.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(form["token"].ToString().Split('.')[1])).RootElement.GetProperty("jti").GetString()!;
            return Results.Json(new IntrospectionResponse(!Inactive.ContainsKey(jti), jti), ProtocolJson.Default.IntrospectionResponse);
        });
    }

    /// <summary>A token for the resource, bound to the key of the request's proof.</summary>
    private async Task<IResult> Exchange(HttpContext context, IFormCollection form)
    {
        Exchanges.Enqueue(form.ToDictionary(f => f.Key, f => f.Value.ToString()));
        await ExchangeHeld;
        if (ExchangeRefused is { } refused)
            return Results.Json(new ErrorResponse(refused.Error, "No.", refused.Reason), ProtocolJson.Default.ErrorResponse, statusCode: refused.Status);
        DpopProof proof = DpopProof.Read(context.Request.Headers[Names.Dpop.Header], "POST", new Uri(Issuer + Names.Paths.Token), null, DateTimeOffset.UtcNow).Value;
        string token = Token(new TokenShape { Aud = form["resource"], Jkt = proof.Thumbprint, Client = "grd_1" });
        return Json($$"""{"access_token":"{{token}}","issued_token_type":"{{Names.Exchange.AccessTokenType}}","token_type":"DPoP","expires_in":{{ExchangedSeconds}}}""");
    }

    private long Now => (DateTimeOffset.UtcNow + Ahead).ToUnixTimeMilliseconds();

    private bool Unseen(ManifestTool tool)
    {
        string digest = CanonicalJson.Digest(tool.Definition);
        bool seen = pinned.TryGetValue(tool.Name, out string? before) && before == digest;
        pinned[tool.Name] = digest;
        return !seen;
    }

    private ManifestToolState State(ManifestTool tool) => Develops ? new(tool.Name, "approved", "write", CanonicalJson.Digest(tool.Definition)) : tools.TryGetValue(tool.Name, out (string Sensitivity, string? State, string? Approval) known)
        ? new(tool.Name, known.State!, known.Sensitivity, Pins ? pinned.GetOrAdd(tool.Name, _ => CanonicalJson.Digest(tool.Definition)) : CanonicalJson.Digest(tool.Definition), known.Approval) : new(tool.Name, "new", "destructive", null);

    public static ArgsKey ArgsKey => new(1, ArgsKeyBytes[0]);

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
