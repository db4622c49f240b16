using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;

namespace McpAuth.EndToEnd.Conformance;

/// <summary>Access tokens of an agent that acts for itself, by <c>client_credentials</c>; the next one before the last one ends.</summary>
internal sealed class AgentTokens(string issuer, TestAgent agent, string resource, JsonArray authority) : IDisposable
{
    private static readonly TimeSpan Margin = TimeSpan.FromMinutes(1);

    private readonly HttpClient http = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false });
    private readonly SemaphoreSlim one = new(1);
    private string token = "";
    private DateTimeOffset renewal = DateTimeOffset.MinValue;

    public async Task<string> CurrentAsync()
    {
        await one.WaitAsync();
        try
        {
            if (renewal > TimeProvider.System.GetUtcNow()) return token;
            // Every token is of a task of its own: the first ends by itself.
            authority[0]!["task"] = new JsonObject { ["purpose"] = "Conformance" };
            using var form = new FormUrlEncodedContent(
            [
                .. agent.Assertion(issuer), new(Names.OAuth.GrantType, Names.OAuth.ClientCredentials), new(Names.Resources.Resource, resource),
                new(Names.Resources.AuthorizationDetails, authority.ToJsonString()),
            ]);
            using HttpResponseMessage response = await http.PostAsync(new Uri(issuer + Names.Paths.Token), form);
            string body = await response.Content.ReadAsStringAsync();
            Assert.True(response.IsSuccessStatusCode, body);
            JsonElement answer = JsonDocument.Parse(body).RootElement;
            renewal = TimeProvider.System.GetUtcNow() + TimeSpan.FromSeconds(answer.GetProperty("expires_in").GetInt32()) - Margin;
            return token = answer.GetProperty("access_token").GetString()!;
        }
        finally
        {
            one.Release();
        }
    }

    public void Dispose()
    {
        http.Dispose();
        one.Dispose();
    }
}
