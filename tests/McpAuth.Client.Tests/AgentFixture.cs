using System.Text.Json;
using McpAuth.Protocol.Jose;
using McpAuth.Testing;
using Microsoft.AspNetCore.WebUtilities;

namespace McpAuth.Client.Tests;

/// <summary>The agent's side of the fake: instances, tasks and exchanges with the answers a server gives.</summary>
internal static class AgentFixture
{
    public const string Resource = "https://files.example/mcp", Other = "https://mail.example/mcp";

    public const string Details = """
        [{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"actions":["tools/call"],"tools":{"read_file":{"args":{"path":{"constraint_type":"path_under","value":"reports"}}}}},
         {"type":"mcp_tool_call","locations":["https://mail.example/mcp"],"actions":["tools/call"],"tools":{"send":{"max_calls":1}}}]
        """;

    public static readonly Uri Callback = new("http://127.0.0.1:50123/callback");

    public static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;

    public static void Prepare(FakeServer server, SigningKey clientKey)
    {
        server.Reset();
        server.Clients["summariser"] = clientKey.Public;
        int instances = 0, tokens = 0;
        server.Answers["/agents/instances"] = _ => Answer.Json(
            $$"""{"instance":"ins_1","agent":"agt_1","access_token":"instance-{{Interlocked.Increment(ref instances)}}","token_type":"DPoP","expires_in":3600}""");
        server.Answers["/agents/instances/ins_1"] = _ => new Answer(204, null);
        server.Answers["/tasks"] = _ => Answer.Json(View("active"));
        server.Answers["/tasks/tsk_1"] = _ => Answer.Json(View("active"));
        foreach ((string verb, string state) in new[] { ("complete", "completed"), ("fail", "failed"), ("suspend", "suspended"), ("resume", "active") })
            server.Answers[$"/tasks/tsk_1/{verb}"] = _ => Answer.Json(View(state));
        server.Answers["/token"] = _ => Answer.Json(
            $$"""
            {"access_token":"token-{{Interlocked.Increment(ref tokens)}}","token_type":"DPoP","expires_in":300,
             "issued_token_type":"urn:ietf:params:oauth:token-type:access_token",
             "authorization_details":[{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"task":{"id":"tsk_1"} }] }
            """);
    }

    /// <summary>As <see cref="Prepare"/>, for a program that is known by its platform: the server tells it as which client it authenticates, by its own key.</summary>
    public static void PrepareWorkload(FakeServer server, SigningKey key)
    {
        Prepare(server, key);
        server.Clients["workload"] = key.Public;
        int instances = 0;
        server.Answers["/agents/instances"] = _ => Answer.Json(
            $$"""{"instance":"ins_1","agent":"agt_1","client_id":"workload","access_token":"instance-{{Interlocked.Increment(ref instances)}}","token_type":"DPoP","expires_in":3600}""");
    }

    /// <summary>What a platform would give: the number makes it another one.</summary>
    public static string Evidence(int number = 1) => $"eyJhbGciOiJSUzI1NiJ9.eyJqdGkiOiJ{number}In0.c2lnbmF0dXJl";

    /// <summary>Lets time pass, second by second, until something has come about. Requests are real and take real time, and proofs are good for a minute.</summary>
    public static async Task PassUntil(ManualTime time, Func<bool> so, int atMostSeconds = 7200)
    {
        var patience = System.Diagnostics.Stopwatch.StartNew();
        for (int seconds = 0; !so();)
        {
            Assert.True(seconds < atMostSeconds && patience.Elapsed < TimeSpan.FromMinutes(3), "It did not come about.");
            if (time.Waiting > 0)
            {
                time.Advance(TimeSpan.FromSeconds(1));
                seconds++;
            }
            await Task.Delay(5);
        }
    }

    /// <summary>Lets so much time pass, in steps that leave every request its time.</summary>
    public static async Task Pass(ManualTime time, TimeSpan by)
    {
        for (TimeSpan passed = TimeSpan.Zero; passed < by; passed += TimeSpan.FromSeconds(5))
        {
            time.Advance(TimeSpan.FromSeconds(5));
            await Task.Delay(5);
        }
    }

    /// <summary>As <see cref="Prepare"/>, where a person handed the work over and, unless <paramref name="refresh"/> is false, the client may refresh.</summary>
    public static void PrepareDelegation(FakeServer server, SigningKey clientKey, bool refresh = true)
    {
        Prepare(server, clientKey);
        server.Answers["/tasks/tsk_1"] = _ => Answer.Json(View("active", user: "usr_ann"));
        int tokens = 0, refreshes = 0;
        string Line() => refresh ? $$""","refresh_token":"refresh-{{Interlocked.Increment(ref refreshes)}}" """ : "";
        server.Answers["/token"] = r => r.Field("grant_type") switch
        {
            // What a person hands over is for the authorization server alone, and has no refresh token.
            "authorization_code" => Answer.Json($$"""{"access_token":"delegation","token_type":"DPoP","expires_in":300,"authorization_details":{{Details}}}"""),
            "refresh_token" => Answer.Json($$"""{"access_token":"token-{{Interlocked.Increment(ref tokens)}}","token_type":"DPoP","expires_in":300{{Line()}}}"""),
            _ => Answer.Json($$"""
                {"access_token":"token-{{Interlocked.Increment(ref tokens)}}","token_type":"DPoP","expires_in":300{{(r.Field("actor_token") is null ? "" : Line())}},
                 "issued_token_type":"urn:ietf:params:oauth:token-type:access_token",
                 "authorization_details":[{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"task":{"id":"tsk_1"} }] }
                """),
        };
    }

    public static Dictionary<string, string> Query(DelegationRequest ask) => QueryHelpers.ParseQuery(ask.Address.Query).ToDictionary(p => p.Key, p => p.Value.Single()!);

    /// <summary>Where the browser comes back after the person allowed it; without <c>iss</c> when null.</summary>
    public static Uri Answered(DelegationRequest ask, string? issuer) =>
        new($"{Callback}?code=the-code&state={Query(ask)["state"]}{(issuer is null ? "" : $"&iss={Uri.EscapeDataString(issuer)}")}");

    public static Task<AgentSession> Attest(FakeServer server, SigningKey clientKey, SigningKey? key = null) =>
        AgentSession.AttestAsync(server.Issuer, ClientAuthentication.PrivateKeyJwt("summariser", clientKey), key, server.Options());

    private static string View(string state, string? user = null) => $$"""
        {"id":"tsk_1","state":"{{state}}","purpose":"p","agent":"agt_1",{{(user is null ? "" : $"\"user\":\"{user}\",")}}"created_at":"2026-11-22T12:00:00Z","expires_at":"2026-11-22T13:00:00Z",
         "authorization_details":{{Details}},"residual_access_ms":250}
        """;
}
