using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Policies;

namespace McpAuthServer.Tests.AuthZen;

/// <summary>Asks the server as a decision point, in each of the three ways to be somebody who may.</summary>
internal static class Asking
{
    /// <summary>The guard of the world's tool server.</summary>
    public static Task<HttpResponseMessage> AskAsGuardAsync(this PolicyWorld w, string path, JsonNode body, TestServer? at = null, string? id = null) =>
        SendAsync(at ?? w.S.Server, path, body, "DPoP " + w.Guard.Token, w.Guard.Proof(path, w.Guard.Token), id);

    public static Task<HttpResponseMessage> AskAsAdministratorAsync(this PolicyWorld w, string path, JsonNode body, TestServer? at = null) =>
        SendAsync(at ?? w.S.Server, path, body, "DPoP " + w.Ops.Token, w.Ops.Proof(HttpMethod.Post, path, w.Ops.Token), null);

    /// <summary>The tool server itself, as the client it is registered as.</summary>
    public static Task<HttpResponseMessage> AskAsync(this IntrospectingServer server, TestServer at, string path, JsonNode body, string? secret = null) =>
        SendAsync(at, path, body, "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{server.Id}:{secret ?? server.Secret}")), null, null);

    public static async Task<HttpResponseMessage> SendAsync(TestServer at, string path, JsonNode? body, string? authorization, string? proof, string? id, string? text = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Content = text is null ? JsonContent.Create(body) : new StringContent(text, Encoding.UTF8, new MediaTypeHeaderValue("application/json")),
        };
        if (authorization is not null)
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        if (proof is not null)
            request.Headers.Add("DPoP", proof);
        if (id is not null)
            request.Headers.TryAddWithoutValidation("X-Request-ID", id);
        return await at.Client().SendAsync(request);
    }

    public static JsonObject Question(this PolicyWorld w, string subject, string action, string? input = null, string? session = null, string? resource = null)
    {
        var context = new JsonObject();
        if (input is not null)
            context["input"] = JsonNode.Parse(input);
        if (session is not null)
            context["session"] = JsonNode.Parse(session);
        return new()
        {
            ["subject"] = new JsonObject { ["type"] = subject.StartsWith("usr_", StringComparison.Ordinal) ? "user" : subject.StartsWith("agt_", StringComparison.Ordinal) ? "agent" : "client", ["id"] = subject },
            ["action"] = new JsonObject { ["name"] = action }, ["resource"] = new JsonObject { ["type"] = "tool_server", ["id"] = resource ?? w.S.Resource }, ["context"] = context,
        };
    }

    /// <summary>The decision, as the guard gets it: nothing else is said.</summary>
    public static async Task<bool> AllowsAsync(this PolicyWorld w, JsonObject question, TestServer? at = null)
    {
        var answer = await (await w.AskAsGuardAsync(Names.Paths.AccessEvaluation, question, at)).AnswerAsync();
        Assert.Equal(["decision"], answer.Select(m => m.Key));
        return (bool)answer["decision"]!;
    }

    /// <summary>Why it is no.</summary>
    public static async Task<string?> ReasonAsync(this PolicyWorld w, JsonObject question)
    {
        var answer = await (await w.AskAsAdministratorAsync(Names.Paths.AccessEvaluation, question)).AnswerAsync();
        Assert.Equal(answer["context"]!["reason"] is null, (bool)answer["decision"]!);
        return (string?)answer["context"]!["reason"];
    }

    /// <summary>What is answered with 200.</summary>
    public static async Task<JsonObject> AnswerAsync(this HttpResponseMessage response)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.OK, $"{(int)response.StatusCode} {text}");
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        Assert.True(response.Headers.CacheControl?.NoStore);
        return JsonNode.Parse(text)!.AsObject();
    }
}
