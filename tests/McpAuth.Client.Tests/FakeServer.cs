using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace McpAuth.Client.Tests;

/// <summary>A real listener that checks what a strict server would check, records it, and answers as the test says.</summary>
public sealed class FakeServer : IAsyncLifetime
{
    public FakeServer() => Time = Clock;

    private readonly HashSet<string> jtis = new(StringComparer.Ordinal);
    private WebApplication? app;

    public string Issuer { get; private set; } = "";
    public FakeClock Clock { get; } = new();

    /// <summary>What server and clients go by: <see cref="Clock"/>, unless a test brings one that has timers too.</summary>
    public TimeProvider Time { get; set; }
    public ConcurrentQueue<Received> Requests { get; } = new();

    /// <summary>Keys of the clients that may authenticate.</summary>
    public ConcurrentDictionary<string, VerificationKey> Clients { get; } = new(StringComparer.Ordinal);

    /// <summary>What a path answers; the path's checks have passed by then.</summary>
    public ConcurrentDictionary<string, Func<Received, Answer>> Answers { get; } = new(StringComparer.Ordinal);

    public IEnumerable<Received> To(string path) => Requests.Where(r => r.Path == path);

    public async Task InitializeAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        app = builder.Build();
        app.Run(Handle);
        await app.StartAsync();
        Issuer = app.Services.GetRequiredService<Microsoft.AspNetCore.Hosting.Server.IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        Reset();
    }

    /// <summary>A server that answers discovery and counts tokens; the class's tests share the listener.</summary>
    public void Reset()
    {
        Requests.Clear();
        Clients.Clear();
        Answers.Clear();
        Time = Clock;
        int issued = 0;
        Answers["/.well-known/oauth-authorization-server"] = _ => Answer.Json(Metadata(Issuer, Issuer));
        Answers["/token"] = _ => Answer.Json($$"""{"access_token":"token-{{Interlocked.Increment(ref issued)}}","token_type":"DPoP","expires_in":300}""");
    }

    public static string Metadata(string issuer, string at) => JsonSerializer.Serialize(new
    {
        issuer, authorization_endpoint = at + "/authorize", token_endpoint = at + "/token", introspection_endpoint = at + "/introspect", backchannel_authentication_endpoint = at + "/bc-authorize", jwks_uri = at + "/jwks",
        code_challenge_methods_supported = new[] { "plain", "S256" },
    });

    public ConnectionOptions Options(int attempts = 3) =>
        new() { Time = Time, Timeout = TimeSpan.FromSeconds(5), Attempts = attempts, Backoff = TimeSpan.FromMilliseconds(1) };

    public async Task DisposeAsync() => await app!.DisposeAsync();

    private async Task Handle(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        string body = await reader.ReadToEndAsync();
        HttpRequest request = context.Request;
        var received = new Received(request.Method, request.Path, body, request.ContentType,
            request.Headers.Authorization, [.. request.Headers["DPoP"]]);
        received.CacheControl = request.Headers.CacheControl;
        received.Attestation = request.Headers["OAuth-Client-Attestation"];
        Requests.Enqueue(received);

        Answer answer = Refusal(received) ?? (Answers.TryGetValue(received.Path, out Func<Received, Answer>? given) ? given(received) : Answer.Error(404, "not_found"));
        context.Response.StatusCode = answer.Status;
        foreach ((string name, string value) in answer.Headers) context.Response.Headers[name] = value;
        if (answer.Body is null) return;
        context.Response.ContentType = answer.ContentType;
        await context.Response.WriteAsync(answer.Body);
    }

    // What any of the real endpoints would refuse, whatever the test is about.
    private Answer? Refusal(Received received)
    {
        string? presented = received.Authorization?.StartsWith("DPoP ", StringComparison.Ordinal) == true ? received.Authorization[5..] : null;
        if (presented is not null && received.Proofs.Count == 0) return Answer.Error(401, "invalid_dpop_proof", "no proof");
        if (received.Proofs.Count > 0)
        {
            if (!DpopProof.Read(received.Proofs, received.Method, new Uri(Issuer + received.Path), presented, Time.GetUtcNow()).TryGet(out DpopProof? proof, out Fault? fault))
                return Answer.Error(400, "invalid_dpop_proof", fault.ToString());
            if (!Once(proof.Jti)) return Answer.Error(400, "invalid_dpop_proof", "used twice");
            received.Proof = proof;
        }
        return received.Field("client_assertion") is { } assertion ? BadAssertion(assertion, received) : null;
    }

    private Answer? BadAssertion(string assertion, Received received)
    {
        var rules = new JwtRules("client assertion", ["client-authentication+jwt"], TypeRequired: true, ["ES256"]);
        if (received.Field("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer") return Answer.Error(401, "invalid_client", "type");
        if (!StrictJwt.Read(assertion, rules).TryGet(out StrictJwt? jwt, out Fault? fault)) return Answer.Error(401, "invalid_client", fault.ToString());
        string? client = jwt.Text("sub");
        if (client is null || jwt.Text("iss") != client || !Clients.TryGetValue(client, out VerificationKey? key) || !key.Verify(jwt))
            return Answer.Error(401, "invalid_client", "signature");
        if (jwt.Audiences is not [{ } audience] || audience != Issuer) return Answer.Error(401, "invalid_client", "aud");
        DateTimeOffset now = Time.GetUtcNow();
        if (jwt.Time("exp") is not { } exp || exp <= now || exp > now.AddMinutes(5)) return Answer.Error(401, "invalid_client", "exp");
        if (jwt.Text("jti") is not { } jti || !Once(jti)) return Answer.Error(401, "invalid_client", "jti");
        received.Client = client;
        return null;
    }

    private bool Once(string jti)
    {
        lock (jtis) return jtis.Add(jti);
    }
}

public sealed record Received(string Method, string Path, string Body, string? ContentType, string? Authorization, IReadOnlyList<string?> Proofs)
{
    private readonly Dictionary<string, Microsoft.Extensions.Primitives.StringValues> form =
        ContentType == "application/x-www-form-urlencoded" ? QueryHelpers.ParseQuery(Body) : [];

    public string? CacheControl { get; set; }
    public string? Attestation { get; set; }

    /// <summary>Set when the proof passed.</summary>
    public DpopProof? Proof { get; set; }

    /// <summary>Set when the assertion passed.</summary>
    public string? Client { get; set; }

    public string? Field(string name) => form.TryGetValue(name, out Microsoft.Extensions.Primitives.StringValues value) ? value.Single() : null;

    public IEnumerable<string> Fields => form.Keys.Order(StringComparer.Ordinal);

    public JsonElement Json => JsonDocument.Parse(Body).RootElement;
}

public sealed record Answer(int Status, string? Body, string ContentType = "application/json")
{
    public Dictionary<string, string> Headers { get; init; } = [];

    public static Answer Json(string body) => new(200, body);

    public static Answer Error(int status, string error, string? description = null, string? reason = null) =>
        new(status, JsonSerializer.Serialize(new { error, error_description = description, mcpauth_reason = reason }));
}

/// <summary>A clock that stands until it is moved; timers stay real.</summary>
public sealed class FakeClock : TimeProvider
{
    private DateTimeOffset now = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    public override DateTimeOffset GetUtcNow() => now;

    public void Advance(TimeSpan by) => now += by;
}
