using System.Collections.Specialized;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Web;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using Microsoft.Playwright;
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

    /// <summary>How the server comes to know a program.</summary>
    public enum Known
    {
        Beforehand,
        ByDocument,
        ByRegistration,
    }

    [ChromiumTheory]
    [Trait("Spec", "MCP-authorization")]
    [Trait("Suite", "interop")]
    [InlineData(Known.Beforehand)]
    [InlineData(Known.ByDocument)]
    [InlineData(Known.ByRegistration)]
    public async Task CSharpSdk_ConnectsCallsStepsUpAndRenews(Known how)
    {
        await using Visitor ann = await people.NewVisitorAsync();
        using var callback = new LoopbackCallback();
        var (asked, tokens) = (new List<NameValueCollection>(), new Tokens());
        await using McpClient mcp = await ConnectAsync(callback, asked, tokens, address => People.AllowAsync(ann, address), how);
        NameValueCollection first = Assert.Single(asked);
        Assert.Equal(files.Resource, first["resource"]);
        Assert.Equal("S256", first["code_challenge_method"]);
        Assert.Contains(Names.Scopes.ToolsRead, first["scope"]!.Split(' '));
        Assert.DoesNotContain("tool:delete_file", first["scope"]!.Split(' '));

        Assert.Contains("read_file", (await mcp.ListToolsAsync()).Select(t => t.Name));
        Assert.Equal("first quarter", await TextAsync(mcp, "read_file", "reports/q1.md"));
        Assert.Single(asked);

        // A call that changes something: 403, the person again, and then it runs, once, and is on record.
        string doomed = Scratch("csharp-" + how);
        await TextAsync(mcp, "delete_file", doomed);
        Assert.False(File.Exists(files.File(doomed)));
        Assert.Equal(2, asked.Count);
        Assert.Superset(new HashSet<string> { "tool:delete_file", Names.Scopes.ToolsRead }, asked[1]["scope"]!.Split(' ').ToHashSet());
        await IsOnRecordAsync(IsAs(how, People.CSharpClient, first["client_id"]!));

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

    [ChromiumFact]
    [Trait("Spec", "Invariant-6")]
    [Trait("Spec", "Invariant-12")]
    public async Task ConsentWithdrawnOnTheAccountPage_EndsTheProgramsAccess_AndSheIsAskedAgain()
    {
        await using Visitor ann = await people.NewVisitorAsync();
        using var callback = new LoopbackCallback();
        var (asked, tokens, button) = (new List<NameValueCollection>(), new Tokens(), "Allow");
        await using McpClient mcp = await ConnectAsync(callback, asked, tokens, async address =>
        {
            await ann.GoAsync(address);
            if (await ann.IsAskedToSignInAsync()) await ann.SignInAsync(People.Email, People.Password);
            await ann.PressAsync(button);
        });
        await TextAsync(mcp, "read_file", "reports/q1.md");

        Assert.Equal(200, await ann.GoAsync(people.Deployment.Issuer + Names.Paths.Account));
        string last = tokens.Held!.AccessToken;
        Assert.Equal(200, await StatusAsync(last));
        await ann.PressAsync("Withdraw access of Stock client in C#");
        await ann.Page.GetByRole(AriaRole.Status).WaitForAsync();
        await Eventually.TrueAsync(async () => await StatusAsync(last) == 401, "the last token is refused", 5 * TimeSpan.FromSeconds(1));

        // Neither that token nor the refresh token is of use: the program has to send her to the page again, and she says no.
        button = "Deny";
        await Assert.ThrowsAnyAsync<Exception>(() => TextAsync(mcp, "read_file", "reports/q1.md"));
        Assert.Equal(2, asked.Count);
        Assert.Equal(last, tokens.Held!.AccessToken);
        Assert.Empty(ann.Complaints);

        async Task<int> StatusAsync(string token)
        {
            using var http = new HttpClient();
            using var request = new HttpRequestMessage(HttpMethod.Post, files.Resource) { Content = new StringContent("""{"jsonrpc":"2.0","id":1,"method":"ping"}""") };
            request.Content.Headers.ContentType = new("application/json");
            request.Headers.Authorization = new("Bearer", token);
            request.Headers.Add("Accept", "application/json, text/event-stream");
            using HttpResponseMessage response = await http.SendAsync(request);
            return (int)response.StatusCode;
        }
    }

    /// <summary>In all three ways at once: each waits most of its time until a token is over.</summary>
    [InteropFact]
    [Trait("Spec", "MCP-authorization")]
    [Trait("Suite", "interop")]
    public Task TypeScriptSdk_ConnectsCallsStepsUpAndRenews() => Task.WhenAll(Enum.GetValues<Known>().Select(TypeScriptSdkAsync));

    private async Task TypeScriptSdkAsync(Known how)
    {
        await using Visitor ann = await people.NewVisitorAsync();
        string doomed = Scratch("typescript-" + how);
        var plan = new JsonObject
        {
            ["resource"] = files.Resource, ["client_id"] = how == Known.Beforehand ? People.TypeScriptClient : null,
            ["document"] = how == Known.ByDocument ? people.Documents.Of("typescript") : null,
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
        await IsOnRecordAsync(IsAs(how, People.TypeScriptClient, HttpUtility.ParseQueryString(new Uri(second).Query)["client_id"]!));
        Assert.Empty(ann.Complaints);

        IEnumerable<JsonNode> Events() => client.Output.Where(l => l.StartsWith('{')).Select(l => JsonNode.Parse(l)!);

        async Task<string> AddressAsync(int number)
        {
            var seen = 0;
            string line = await client.WaitForLineAsync(l => l.StartsWith("""{"event":"authorize",""", StringComparison.Ordinal) && ++seen == number, Deployment.Patience);
            return JsonDocument.Parse(line).RootElement.GetProperty("url").GetString()!;
        }
    }

    /// <param name="asked">Gets the parameters of every authorization request.</param>
    /// <param name="person">What happens in the browser when it is sent to an address.</param>
    private Task<McpClient> ConnectAsync(LoopbackCallback callback, List<NameValueCollection> asked, Tokens tokens, Func<string, Task> person, Known how = Known.Beforehand) =>
        McpClient.CreateAsync(new HttpClientTransport(new HttpClientTransportOptions
        {
            Endpoint = new Uri(files.Resource),
            TransportMode = HttpTransportMode.StreamableHttp,
            OAuth = new ClientOAuthOptions
            {
                ClientId = how == Known.Beforehand ? People.CSharpClient : null, ClientMetadataDocumentUri = how == Known.ByDocument ? new Uri(people.Documents.Of("csharp")) : null,
                DynamicClientRegistration = new DynamicClientRegistrationOptions { ClientName = "Newcomer in C#" }, RedirectUri = callback.RedirectUri, TokenCache = tokens,
                AuthorizationCallbackHandler = async (context, cancel) =>
                {
                    asked.Add(HttpUtility.ParseQueryString(context.AuthorizationUri.Query));
                    Task<NameValueCollection> coming = callback.NextAsync(cancel);
                    await person(context.AuthorizationUri.AbsoluteUri);
                    NameValueCollection answer = await coming;
                    return new AuthorizationResult { Code = answer["code"], State = answer["state"], Iss = answer["iss"] };
                },
            },
        }));

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

    /// <summary>The client id that the program went by, which is of the kind it should be.</summary>
    private string IsAs(Known how, string registered, string id)
    {
        Assert.True(how switch
        {
            Known.Beforehand => id == registered,
            Known.ByDocument => id.StartsWith($"https://{people.Documents.Authority}/", StringComparison.Ordinal),
            _ => id.StartsWith(Id.DynamicClient, StringComparison.Ordinal),
        }, id);
        return id;
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
