using System.Collections.Specialized;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Web;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using ModelContextProtocol.Authentication;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;

namespace McpAuth.EndToEnd;

/// <summary>
/// Clients that others wrote, unchanged, and a person in a real browser: from a 401 through discovery, sign-in and consent to calls; more
/// authority when a call needs it; a renewal when the token ends, about which nobody is asked.
/// </summary>
[Collection(People.Name)]
public sealed class StockClientTests(People people)
{
    private readonly GuardedServer files = people.Files;

    [ChromiumFact]
    [Trait("Spec", "MCP-authorization")]
    public async Task CSharpSdk_ConnectsCallsStepsUpAndRenews()
    {
        await using Visitor ann = await people.NewVisitorAsync();
        using var callback = new LoopbackCallback();
        var asked = new List<NameValueCollection>();
        var tokens = new Tokens();
        await using McpClient mcp = await McpClient.CreateAsync(new HttpClientTransport(new HttpClientTransportOptions
        {
            Endpoint = new Uri(files.Resource),
            TransportMode = HttpTransportMode.StreamableHttp,
            OAuth = new ClientOAuthOptions
            {
                ClientId = People.CSharpClient, RedirectUri = callback.RedirectUri, TokenCache = tokens,
                AuthorizationCallbackHandler = async (context, cancel) =>
                {
                    asked.Add(HttpUtility.ParseQueryString(context.AuthorizationUri.Query));
                    Task<NameValueCollection> coming = callback.NextAsync(cancel);
                    await People.AllowAsync(ann, context.AuthorizationUri.AbsoluteUri);
                    NameValueCollection answer = await coming;
                    return new AuthorizationResult { Code = answer["code"], State = answer["state"], Iss = answer["iss"] };
                },
            },
        }));
        NameValueCollection first = Assert.Single(asked);
        Assert.Equal(files.Resource, first["resource"]);
        Assert.Equal("S256", first["code_challenge_method"]);
        Assert.Contains(Names.Scopes.ToolsRead, first["scope"]!.Split(' '));
        Assert.DoesNotContain("tool:delete_file", first["scope"]!.Split(' '));

        Assert.Contains("read_file", (await mcp.ListToolsAsync()).Select(t => t.Name));
        Assert.Equal("first quarter", await TextAsync(mcp, "read_file", "reports/q1.md"));
        Assert.Single(asked);

        // A call that changes something: 403, the person again, and then it runs, once, and is on record.
        string doomed = Scratch("csharp");
        await TextAsync(mcp, "delete_file", doomed);
        Assert.False(File.Exists(files.File(doomed)));
        Assert.Equal(2, asked.Count);
        Assert.Superset(new HashSet<string> { "tool:delete_file", Names.Scopes.ToolsRead }, asked[1]["scope"]!.Split(' ').ToHashSet());
        await IsOnRecordAsync(People.CSharpClient);

        // The access token ends; calls go on, and nobody is asked.
        TokenContainer before = tokens.Held!;
        await Eventually.TrueAsync(async () =>
        {
            Assert.Equal("first quarter", await TextAsync(mcp, "read_file", "reports/q1.md"));
            return tokens.Held!.AccessToken != before.AccessToken;
        }, "the token is renewed", Deployment.Patience);
        Assert.NotEqual(before.RefreshToken, tokens.Held!.RefreshToken);
        Assert.Equal("first quarter", await TextAsync(mcp, "read_file", "reports/q1.md"));
        Assert.Equal(2, asked.Count);
        Assert.Empty(ann.Complaints);
    }

    [InteropFact]
    [Trait("Spec", "MCP-authorization")]
    public async Task TypeScriptSdk_ConnectsCallsStepsUpAndRenews()
    {
        await using Visitor ann = await people.NewVisitorAsync();
        string doomed = Scratch("typescript");
        var plan = new JsonObject
        {
            ["resource"] = files.Resource, ["client_id"] = People.TypeScriptClient,
            ["read"] = new JsonObject { ["name"] = "read_file", ["arguments"] = new JsonObject { ["path"] = "reports/q1.md" } },
            ["write"] = new JsonObject { ["name"] = "delete_file", ["arguments"] = new JsonObject { ["path"] = doomed } },
        };
        await using ChildProcess client = ChildProcess.Start(InteropClients.Node!, [Path.Combine(InteropClients.Folder, "stock-client.mjs"), plan.ToJsonString()]);
        await People.AllowAsync(ann, await AddressAsync(1));
        string second = await AddressAsync(2);
        Assert.True(File.Exists(files.File(doomed)));
        Assert.Superset(new HashSet<string> { "tool:delete_file" }, HttpUtility.ParseQueryString(new Uri(second).Query)["scope"]!.Split(' ').ToHashSet());
        await People.AllowAsync(ann, second);
        Assert.True(await client.WaitForExitAsync(3 * Deployment.Patience) == 0, client.Text);

        Assert.Equal(
            // The challenge is the same, character by character, for the same call: this SDK tells by that that renewing did not help, and would go on for ever.
            ["authorize", "answer", "tokens", "tools", "call read_file", "renewed", "denied", "authorize", "answer", "renewed", "call delete_file", "renewed", "call read_file", "done"],
            Events().Select(e => e["tool"] is { } tool ? $"{Text(e, "event")} {tool}" : Text(e, "event")));
        Assert.All(Events().Where(e => Text(e, "event") == "answer"), e => Assert.Equal((people.Deployment.Issuer, true), (Text(e, "iss"), e["state"]!.GetValue<bool>())));
        Assert.All(Events().Where(e => Text(e, "event") == "call"), e => Assert.False(e["failed"]!.GetValue<bool>(), client.Text));
        Assert.Equal("first quarter", Text(Events().First(e => Text(e, "event") == "call"), "text"));
        Assert.False(File.Exists(files.File(doomed)));
        await IsOnRecordAsync(People.TypeScriptClient);
        Assert.Empty(ann.Complaints);

        IEnumerable<JsonNode> Events() => client.Output.Where(l => l.StartsWith('{')).Select(l => JsonNode.Parse(l)!);

        async Task<string> AddressAsync(int number)
        {
            var seen = 0;
            string line = await client.WaitForLineAsync(l => l.StartsWith("""{"event":"authorize",""", StringComparison.Ordinal) && ++seen == number, Deployment.Patience);
            return JsonDocument.Parse(line).RootElement.GetProperty("url").GetString()!;
        }
    }

    /// <summary>The call that was consented to, exactly once: decided in Ann's name for that program, before it ran, and how it ended.</summary>
    private async Task IsOnRecordAsync(string client)
    {
        IReadOnlyList<JsonNode> events = [];
        await Eventually.TrueAsync(async () =>
        {
            events = [.. (await people.Deployment.EventsAsync(AuditTypes.CallDecided, AuditTypes.CallFinished)).Where(e => Text(e, "tool") == "delete_file" && Text(e, "client") == client)];
            return events.Any(e => Text(e, "type") == AuditTypes.CallFinished);
        }, "the guard has delivered its records", Deployment.Patience);
        JsonNode decided = Assert.Single(events, e => Text(e, "type") == AuditTypes.CallDecided && Text(e, "decision") == "allow");
        Assert.Equal((People.Ann, files.Resource), (Text(decided, "user"), Text(decided, "resource")));
        Assert.Single(events, e => Text(e, "type") == AuditTypes.CallFinished);
        // No token, and no argument, is in the record.
        Assert.DoesNotContain("reports/", decided.ToJsonString(), StringComparison.Ordinal);
    }

    private string Scratch(string name)
    {
        string path = $"reports/old-{name}.md";
        File.WriteAllText(files.File(path), "to be deleted");
        return path;
    }

    private static async Task<string> TextAsync(McpClient mcp, string tool, string path)
    {
        CallToolResult result = await mcp.CallToolAsync(tool, new Dictionary<string, object?> { ["path"] = path });
        string text = string.Concat(result.Content.OfType<TextContentBlock>().Select(c => c.Text));
        Assert.True(result.IsError is not true, text);
        return text;
    }

    private static string? Text(JsonNode e, string member) => e[member]?.GetValue<string>();

    /// <summary>What the SDK would keep between runs.</summary>
    private sealed class Tokens : ITokenCache
    {
        public TokenContainer? Held { get; private set; }

        public ValueTask<TokenContainer?> GetTokensAsync(CancellationToken cancellationToken) => new(Held);

        public ValueTask StoreTokensAsync(TokenContainer tokens, CancellationToken cancellationToken)
        {
            Held = tokens;
            return default;
        }
    }
}
