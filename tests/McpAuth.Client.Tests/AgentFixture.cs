using System.Text.Json;
using McpAuth.Protocol.Jose;

namespace McpAuth.Client.Tests;

/// <summary>The agent's side of the fake: instances, tasks and exchanges with the answers a server gives.</summary>
internal static class AgentFixture
{
    public const string Resource = "https://files.example/mcp", Other = "https://mail.example/mcp";

    public const string Details = """
        [{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"actions":["tools/call"],"tools":{"read_file":{"args":{"path":{"constraint_type":"path_under","value":"reports"}}}}},
         {"type":"mcp_tool_call","locations":["https://mail.example/mcp"],"actions":["tools/call"],"tools":{"send":{"max_calls":1}}}]
        """;

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

    public static Task<AgentSession> Attest(FakeServer server, SigningKey clientKey, SigningKey? key = null) =>
        AgentSession.AttestAsync(server.Issuer, ClientAuthentication.PrivateKeyJwt("summariser", clientKey), key, server.Options());

    private static string View(string state) => $$"""
        {"id":"tsk_1","state":"{{state}}","purpose":"p","agent":"agt_1","created_at":"2026-11-22T12:00:00Z","expires_at":"2026-11-22T13:00:00Z",
         "authorization_details":{{Details}},"residual_access_ms":250}
        """;
}
