using System.Net.Http.Headers;
using McpAuth.Protocol;

namespace McpGuard.Sdk.Tests;

/// <summary>Method, body and metadata: what reaches a handler is one message, read once.</summary>
public sealed class MessageTests(GuardFixture fixture) : IClassFixture<GuardFixture>
{
    private FakeAuthorizationServer Server => fixture.Server;
    private ToolHost Host => fixture.Host;

    [Theory]
    [InlineData("")]
    [InlineData("\"protocolVersion\":5")]
    public async Task Initialize_ThatCannotBeRead_IsAnError_NotAFailureOfTheServer(string parameters)
    {
        Answer answer = await Host.Do("initialize", parameters, Server.Token(), version: Names.Mcp.V20250618);
        Assert.Equal((200, -32602), (answer.Status, answer.Error));
    }

    [Theory]
    [Trait("Attack", "2")]
    [Trait("Attack", "4")]
    [Trait("Spec", "RFC9728-3")]
    [InlineData("/.well-known/oauth-protected-resource")]
    [InlineData("/.well-known/oauth-protected-resource/mcp")]
    public async Task Metadata_AtTheRootAndInserted_IsTheSameConfiguredDocument(string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, Host.Url(path));
        request.Headers.Host = "evil.example";
        using HttpResponseMessage response = await Host.Http.SendAsync(request);
        Assert.Equal("*", response.Headers.GetValues("Access-Control-Allow-Origin").Single());
        Assert.Equal((200, "application/json"), ((int)response.StatusCode, response.Content.Headers.ContentType?.ToString()));
        string body = await response.Content.ReadAsStringAsync();
        Assert.Equal(
            $$"""{"resource":"{{Host.Resource}}","authorization_servers":["{{Server.Issuer}}"],"scopes_supported":["tools:read"],"bearer_methods_supported":["header"],"dpop_signing_alg_values_supported":["ES256","RS256"],"authorization_details_types_supported":["mcp_tool_call"]}""",
            body);
    }

    [Theory]
    [Trait("Spec", "RFC9728-3.1")]
    [InlineData("/.well-known/oauth-protected-resource")]
    [InlineData("/.well-known/oauth-protected-resource/mcp")]
    public async Task Metadata_ByAnotherMethod_IsNotGiven(string path)
    {
        using HttpResponseMessage response = await Host.Http.PostAsync(Host.Url(path), new StringContent(""));
        Assert.Equal((405, "GET"), ((int)response.StatusCode, response.Content.Headers.Allow.Single()));
        Assert.Empty(await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [Trait("Spec", "RFC9728-3.1")]
    [InlineData("https://files.example", "https://files.example/.well-known/oauth-protected-resource")]
    [InlineData("https://files.example/", "https://files.example/.well-known/oauth-protected-resource")]
    [InlineData("https://files.example:8443/team/mcp", "https://files.example:8443/.well-known/oauth-protected-resource/team/mcp")]
    [InlineData("https://files.example/mcp/", "https://files.example/.well-known/oauth-protected-resource/mcp/")]
    public void Metadata_Address_HasTheWellKnownPartBetweenHostAndPath(string resource, string address) =>
        Assert.Equal(address, new McpGuard.Sdk.Http.ResourceAddress(Microsoft.Extensions.Options.Options.Create(new McpGuardOptions { Resource = resource })).Metadata);

    [Fact]
    [Trait("Spec", "RFC9728-3.2")]
    public async Task Metadata_OfAServerThatNeedsNoScope_LeavesTheMemberOut()
    {
        await using FakeAuthorizationServer server = await FakeAuthorizationServer.StartAsync();
        await using ToolHost host = await ToolHost.StartAsync(server, o => o.Scopes.Clear());
        string body = await host.Http.GetStringAsync(host.Url("/.well-known/oauth-protected-resource/mcp"));
        Assert.DoesNotContain("scopes_supported", body, StringComparison.Ordinal);
        Assert.DoesNotContain("[]", body, StringComparison.Ordinal);
    }

    [Theory]
    [Trait("Attack", "132")]
    [InlineData("[]")]
    [InlineData("""[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"batch"}}}]""")]
    public async Task Body_Batch_IsRefused(string body) => await Unread(body, "batch");

    [Theory]
    [Trait("Attack", "133")]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"refund","arguments":{"text":"dup"}}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","n\u0061me":"refund","arguments":{"text":"dup"}}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","Name":"refund","arguments":{"text":"dup"}}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a"},"Arguments":{"text":"dup"}}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a","text":"dup"}}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"echo","arguments":{"text":"dup"}}}""")]
    public async Task Body_WithKeysEqualOrEqualButForCase_IsRefused(string body) => await Unread(body, "dup");

    [Theory]
    [Trait("Attack", "135")]
    [InlineData("9007199254740993")]
    [InlineData("1e400")]
    [InlineData("NaN")]
    [InlineData("-0")]
    [InlineData("0x10")]
    public async Task Number_ThatReadersDisagreeOn_IsRefused(string number) =>
        await Unread(ToolHost.Call("refund", $$"""{"order_id":"num","amount":{{number}}}""", ""), "num");

    [Theory]
    [Trait("Attack", "135")]
    [InlineData("1e2", 100)]
    [InlineData("100.0", 100)]
    [InlineData("12.50", 12.5)]
    public async Task Number_InAnotherSpelling_IsOneValueForDecisionAndHandler(string number, double value)
    {
        string order = "same" + number;
        string exact = value.ToString(System.Globalization.CultureInfo.InvariantCulture);
        string details = Details("""{"refund":{"args":{"order_id":{"constraint_type":"wildcard"},"amount":{"constraint_type":"exact","value":EXACT}}}}""".Replace("EXACT", exact, StringComparison.Ordinal));
        Answer answer = await Host.CallTool("refund", $$"""{"order_id":"{{order}}","amount":{{number}}}""", Server.Token(new() { Details = details, Scope = null }));
        Assert.Equal("refunded", answer.Text);
        Assert.Contains(FormattableString.Invariant($"refund {order} {value}"), Host.Runs.All);
    }

    [Fact]
    [Trait("Attack", "135")]
    public async Task Number_AsAString_IsNotCoerced()
    {
        Answer answer = await Host.CallTool("refund", """{"order_id":"text","amount":{"a":"100"}}""", Server.Token(new() { Scope = "tool:refund" }));
        Assert.Equal("argument_denied", answer.Denial);
        Assert.DoesNotContain(Host.Runs.All, r => r.StartsWith("refund text", StringComparison.Ordinal));
    }

    [Fact]
    [Trait("Attack", "137")]
    public async Task Body_NestedTooDeep_IsRefused() =>
        await Unread(ToolHost.Call("echo", $$"""{"text":{{new string('[', 63)}}{{new string(']', 63)}}}""", ""), "deep");

    [Fact]
    [Trait("Attack", "137")]
    public async Task Body_TooLarge_IsRefusedBeforeItIsParsed()
    {
        using HttpRequestMessage request = Host.Request(ToolHost.Call("echo", $$"""{"text":"{{new string('x', 5 * 1024 * 1024)}}"}"""), Server.Token());
        Assert.Equal(413, (await Host.Send(request)).Status);
        Assert.Equal(200, (await Host.CallTool("echo", """{"text":"after"}""", Server.Token())).Status);
    }

    [Theory]
    [Trait("Attack", "137")]
    [InlineData("{\"jsonrpc\":\"2.0\",}")]
    [InlineData("{\"jsonrpc\":\"2.0\"} {}")]
    [InlineData("\"text\"")]
    [InlineData("null")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":[]}")]
    [InlineData("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}")]
    [InlineData("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}")]
    [InlineData("\"\\ud800\"")]
    [InlineData("")]
    public async Task Body_ThatIsNoMessage_IsRefused(string body) => await Unread(body, "nothing");

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/json; charset=utf-16")]
    [InlineData("application/x-www-form-urlencoded")]
    public async Task MediaType_OtherThanJson_IsRefused(string type)
    {
        using HttpRequestMessage request = Host.Request(ToolHost.Call("echo", """{"text":"type"}"""), Server.Token());
        request.Content!.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        Assert.Equal(415, (await Host.Send(request)).Status);
    }

    [Theory]
    [Trait("Spec", "MCP-2026-07-28-transports")]
    [InlineData(Names.Mcp.V20260728)]
    [InlineData(Names.Mcp.V20251125)]
    public async Task Notification_ThatIsKnown_IsAcceptedWithoutABody(string version)
    {
        using HttpRequestMessage request = Host.Request("""{"jsonrpc":"2.0","method":"notifications/initialized"}""", Server.Token(), version);
        request.Headers.Add(Names.Mcp.MethodHeader, "notifications/initialized");
        Answer answer = await Host.Send(request);
        Assert.Equal((202, ""), (answer.Status, answer.Body));
    }

    [Fact]
    [Trait("Spec", "MCP-2026-07-28-authorization")]
    public async Task Request_OnAConnectionThatWasAuthenticated_NeedsATokenOfItsOwn()
    {
        using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 1 });
        async Task<int> Call(string? token)
        {
            using HttpRequestMessage request = Host.Request(ToolHost.Call("echo", """{"text":"connection"}"""), token);
            request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
            request.Headers.Add(Names.Mcp.NameHeader, "echo");
            return (await Host.Send(request, http)).Status;
        }
        Assert.Equal((200, 401), (await Call(Server.Token()), await Call(null)));
        Assert.Single(Host.Runs.All, "echo connection");
    }

    /// <summary>What a retry brings is the handler's to distrust, in whatever form it comes.</summary>
    [Theory]
    [Trait("Spec", "MCP-2026-07-28-mrtr")]
    [InlineData("\"inputResponses\":[1]")]
    [InlineData("\"inputResponses\":null")]
    [InlineData("\"inputResponses\":{\"a\":5}")]
    [InlineData("\"inputResponses\":7")]
    [InlineData("\"requestState\":{\"a\":[]}")]
    [InlineData("\"requestState\":[]")]
    public async Task Retry_OfAnyForm_IsAnswered(string member)
    {
        string body = ToolHost.Call("echo", """{"text":"retry"}""").Replace("\"arguments\":", member + ",\"arguments\":", StringComparison.Ordinal);
        using HttpRequestMessage request = Host.Request(body, Server.Token());
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, "echo");
        Answer answer = await Host.Send(request);
        Assert.Equal(200, answer.Status);
        Assert.True(answer.Error is not null || answer.Text == "retry", answer.Body);
    }

    [Theory]
    [Trait("Spec", "MCP-2026-07-28-versions")]
    [InlineData("1900-01-01")]
    [InlineData("2026-07-28, 2025-11-25")]
    public async Task Version_Unsupported_NamesTheOneThatCanBeTried(string version)
    {
        using HttpRequestMessage request = Host.Request(ToolHost.Call("echo", """{"text":"v"}"""), Server.Token(), version);
        Answer answer = await Host.Send(request);
        Assert.Equal((400, -32022), (answer.Status, answer.Error));
        IEnumerable<string?> supported = answer.Json!.Value.GetProperty("error").GetProperty("data").GetProperty("supported").EnumerateArray().Select(v => v.GetString());
        Assert.Equal([Names.Mcp.V20260728], supported);
        Assert.Equal(1, answer.Json!.Value.GetProperty("id").GetInt32());
    }

    [Fact]
    [Trait("Spec", "MCP-2026-07-28-meta")]
    public async Task Meta_OfTheRequest_IsRequired()
    {
        using HttpRequestMessage request = Host.Request("""{"jsonrpc":"2.0","id":1,"method":"tools/list"}""", Server.Token());
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/list");
        Answer answer = await Host.Send(request);
        Assert.Equal((400, -32602), (answer.Status, answer.Error));
    }

    [Theory]
    [Trait("Spec", "MCP-2026-07-28-methods")]
    [Trait("Attack", "142")]
    [InlineData("tools/steal")]
    [InlineData("initialize")]
    [InlineData("ping")]
    [InlineData("resources/subscribe")]
    [InlineData("subscriptions/else")]
    [InlineData("tasks/get")]
    [InlineData("sampling/createMessage")]
    public async Task Method_UnknownOrRemoved_IsNotFound(string method)
    {
        Answer answer = await Host.Do(method, "", Server.Token());
        Assert.Equal((404, -32601), (answer.Status, answer.Error));
    }

    [Theory]
    [Trait("Spec", "MCP-2026-07-28-methods")]
    [InlineData("GET")]
    [InlineData("DELETE")]
    [InlineData("PUT")]
    public async Task HttpMethod_OtherThanPost_IsNotAllowed(string method)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), Host.Resource);
        request.Headers.Add("Authorization", "Bearer " + Server.Token());
        using HttpResponseMessage response = await Host.Http.SendAsync(request);
        Assert.Equal(405, (int)response.StatusCode);
    }

    [Fact]
    public async Task ToolCall_AsANotification_DoesNotRun()
    {
        using HttpRequestMessage request = Host.Request("""{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo","arguments":{"text":"silent"}}}""", Server.Token(), Names.Mcp.V20251125);
        Assert.Equal(404, (await Host.Send(request)).Status);
        Assert.DoesNotContain("echo silent", Host.Runs.All);
    }

    internal static string Details(string resource, string tools, string actions = "\"tools/call\"") =>
        $$"""[{"type":"mcp_tool_call","locations":["{{resource}}"],"actions":[{{actions}}],"tools":{{tools}}}]""";

    private string Details(string tools) => Details(Host.Resource, tools);

    private async Task Unread(string body, string marker)
    {
        using HttpRequestMessage request = Host.Request(body, Server.Token(new() { Scope = "tools:read tool:refund" }), Names.Mcp.V20251125);
        Answer answer = await Host.Send(request);
        Assert.Equal((400, -32600), (answer.Status, answer.Error));
        Assert.DoesNotContain(Host.Runs.All, r => r.Contains(marker, StringComparison.Ordinal));
    }
}
