using System.Text;
using McpAuth.Protocol;

namespace McpGuard.Sdk.Tests;

/// <summary>Host, origin and the headers of MCP: what is said beside the body is foreign and refused, or true of the body.</summary>
public sealed class HeaderTests(GuardFixture fixture) : IClassFixture<GuardFixture>
{
    private FakeAuthorizationServer Server => fixture.Server;
    private ToolHost Host => fixture.Host;

    [Theory]
    [Trait("Attack", "144")]
    [Trait("Attack", "7")]
    [InlineData("Host", "evil.example")]
    [InlineData("Origin", "https://evil.example")]
    [InlineData("Origin", "null")]
    [InlineData("Origin", "http://127.0.0.1.evil.example")]
    public async Task HostOrOrigin_Foreign_IsForbiddenAndGetsNoCorsGrant(string header, string value)
    {
        using HttpRequestMessage request = Host.Request(ToolHost.Call("echo", """{"text":"evil"}"""), Server.Token());
        request.Headers.TryAddWithoutValidation(header, value);
        using HttpResponseMessage response = await Host.Http.SendAsync(request);
        Assert.Equal(403, (int)response.StatusCode);
        Assert.False(response.Headers.Contains("Access-Control-Allow-Origin"));
        Assert.DoesNotContain("echo evil", Host.Runs.All);
    }

    [Fact]
    [Trait("Spec", "MCP-Inspector-CORS")]
    public async Task Preflight_FromAnAllowedOrigin_NamesTheHeadersAndNoCredentials()
    {
        using var request = new HttpRequestMessage(HttpMethod.Options, Host.Resource);
        request.Headers.Add("Origin", "http://localhost:6274");
        request.Headers.Add("Access-Control-Request-Headers", "authorization, mcp-param-region, x-evil");
        using HttpResponseMessage response = await Host.Http.SendAsync(request);
        Assert.Equal(204, (int)response.StatusCode);
        Assert.Equal("http://localhost:6274", response.Headers.GetValues("Access-Control-Allow-Origin").Single());
        string allowed = response.Headers.GetValues("Access-Control-Allow-Headers").Single();
        foreach (string name in new[] { "Authorization", "Content-Type", "DPoP", "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "mcp-param-region" })
            Assert.Contains(name, allowed, StringComparison.Ordinal);
        Assert.DoesNotContain("x-evil", allowed, StringComparison.Ordinal);
        Assert.False(response.Headers.Contains("Access-Control-Allow-Credentials"));
    }

    [Fact]
    [Trait("Spec", "MCP-Inspector-CORS")]
    public async Task Challenge_ToABrowser_CanBeRead()
    {
        using HttpRequestMessage request = Host.Request("{}", null);
        request.Headers.Add("Origin", "http://localhost:6274");
        using HttpResponseMessage response = await Host.Http.SendAsync(request);
        Assert.Equal(401, (int)response.StatusCode);
        Assert.Equal("http://localhost:6274", response.Headers.GetValues("Access-Control-Allow-Origin").Single());
        Assert.Contains("WWW-Authenticate", response.Headers.GetValues("Access-Control-Expose-Headers").Single(), StringComparison.Ordinal);
    }

    [Theory]
    [Trait("Attack", "130")]
    [Trait("Spec", "MCP-2026-07-28-headers")]
    [InlineData("tools/call", null)]
    [InlineData("tools/call", "refund")]
    [InlineData("tools/call", "Echo")]
    [InlineData("tools/call", "=?base64?!!!?=")]
    [InlineData("tools/call", "=?base64?ZWNob")]
    [InlineData("tools/call", "=?base64?/w==?=")]
    [InlineData("tools/list", "echo")]
    [InlineData(null, "echo")]
    public async Task StandardHeader_MissingOrOther_IsAHeaderMismatch(string? method, string? name)
    {
        using HttpRequestMessage request = Host.Request(ToolHost.Call("echo", """{"text":"header"}"""), Server.Token());
        if (method is not null) request.Headers.Add(Names.Mcp.MethodHeader, method);
        if (name is not null) request.Headers.TryAddWithoutValidation(Names.Mcp.NameHeader, name);
        Answer answer = await Host.Send(request);
        Assert.Equal((400, -32020), (answer.Status, answer.Error));
        Assert.DoesNotContain("echo header", Host.Runs.All);
    }

    [Fact]
    [Trait("Spec", "MCP-2026-07-28-headers")]
    public async Task NameHeader_Encoded_IsDecodedFirst()
    {
        using HttpRequestMessage request = Host.Request(ToolHost.Call("echo", """{"text":"encoded"}"""), Server.Token());
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.TryAddWithoutValidation(Names.Mcp.NameHeader, $"=?base64?{Convert.ToBase64String(Encoding.UTF8.GetBytes("echo"))}?=");
        Assert.Equal("encoded", (await Host.Send(request)).Text);
    }

    [Theory]
    [Trait("Attack", "130")]
    [InlineData(Names.Mcp.V20251125)]
    [InlineData(Names.Mcp.V20250618)]
    public async Task NameHeader_OnAnOlderRevision_MustStillBeTrue(string version)
    {
        using HttpRequestMessage request = Host.Request(ToolHost.Call("echo", """{"text":"older"}""", version), Server.Token(), version);
        request.Headers.Add(Names.Mcp.NameHeader, "refund");
        Assert.Equal(-32020, (await Host.Send(request)).Error);
    }

    [Theory]
    [Trait("Spec", "MCP-2026-07-28-headers")]
    [InlineData("eu", 200)]
    [InlineData("us", 400)]
    [InlineData(null, 400)]
    public async Task ParameterHeader_OfASchemaThatOptsIn_MustEqualTheArgument(string? header, int status)
    {
        using HttpRequestMessage request = Host.Request(ToolHost.Call("region", """{"region":"eu"}"""), Server.Token());
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, "region");
        if (header is not null) request.Headers.Add("Mcp-Param-Region", header);
        Assert.Equal(status, (await Host.Send(request)).Status);
    }

    [Theory]
    [Trait("Spec", "MCP-2026-07-28-headers")]
    [InlineData("=?base64?ZXU=?=", "eu", 200)]
    [InlineData("=?base64?ZXU?=", "eu", 400)]
    [InlineData("=?base64?!!!?=", "eu", 400)]
    // Without both ends it is no encoding: the value is what stands there.
    [InlineData("=?base64?ZXU=", "eu", 400)]
    [InlineData("=?base64?ZXU=", "=?base64?ZXU=", 200)]
    [InlineData("=?base64?=", "=?base64?=", 200)]
    [InlineData("=?base64?ZXU=?=", "=?base64?ZXU=?=", 400)]
    public async Task ParameterHeader_Encoded_IsDecodedWhereItHasBothEnds(string header, string argument, int status)
    {
        using HttpRequestMessage request = Host.Request(ToolHost.Call("region", $$"""{"region":"{{argument}}"}"""), Server.Token());
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, "region");
        request.Headers.TryAddWithoutValidation("Mcp-Param-Region", header);
        Assert.Equal(status, (await Host.Send(request)).Status);
    }

    [Theory]
    [Trait("Spec", "MCP-2026-07-28-headers")]
    [InlineData("""{"region":null}""", null, 200)]
    [InlineData("{}", null, 200)]
    [InlineData("""{"region":null}""", "eu", 400)]
    [InlineData("{}", "eu", 400)]
    public async Task ParameterHeader_WithoutAnArgument_IsNotExpectedAndNotTaken(string arguments, string? header, int status)
    {
        using HttpRequestMessage request = Host.Request(ToolHost.Call("region", arguments), Server.Token());
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, "region");
        if (header is not null) request.Headers.Add("Mcp-Param-Region", header);
        Answer answer = await Host.Send(request);
        Assert.Equal((status, status == 400 ? -32020 : (int?)null), (answer.Status, answer.Error));
    }

    /// <summary>Equal to the argument, and refused all the same: what is not plain ASCII has to be encoded.</summary>
    [Fact]
    [Trait("Spec", "MCP-2026-07-28-headers")]
    public async Task ParameterHeader_WithCharactersNoHeaderHas_IsAHeaderMismatch()
    {
        using var http = new HttpClient(new SocketsHttpHandler { RequestHeaderEncodingSelector = (_, _) => Encoding.UTF8 });
        using HttpRequestMessage request = Host.Request(ToolHost.Call("region", """{"region":"zürich"}"""), Server.Token());
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, "region");
        request.Headers.TryAddWithoutValidation("Mcp-Param-Region", "zürich");
        Answer answer = await Host.Send(request, http);
        Assert.Equal((400, -32020), (answer.Status, answer.Error));
        Assert.DoesNotContain("region zürich", Host.Runs.All);
    }

    [Fact]
    [Trait("Spec", "MCP-2026-07-28-headers")]
    public async Task HeaderNames_InAnotherCase_AreTheSame()
    {
        using HttpRequestMessage request = Host.Request(ToolHost.Call("region", """{"region":"case"}"""), Server.Token());
        request.Headers.Add("MCP-METHOD", "tools/call");
        request.Headers.Add("mcp-name", "region");
        request.Headers.Add("mcp-PARAM-region", "case");
        Assert.Equal("case", (await Host.Send(request)).Text);
    }

    [Theory]
    [Trait("Spec", "MCP-2026-07-28-headers")]
    [InlineData(null, Names.Mcp.V20260728)]
    [InlineData(Names.Mcp.V20251125, Names.Mcp.V20260728)]
    [InlineData(Names.Mcp.V20260728, Names.Mcp.V20251125)]
    public async Task Version_OfHeaderAndBodyNotOne_IsAHeaderMismatch(string? header, string body)
    {
        string call = ToolHost.Call("echo", """{"text":"versions"}""").Replace(Names.Mcp.V20260728, body, StringComparison.Ordinal);
        using HttpRequestMessage request = Host.Request(call, Server.Token());
        request.Headers.Remove(Names.Mcp.ProtocolVersionHeader);
        if (header is not null) request.Headers.Add(Names.Mcp.ProtocolVersionHeader, header);
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, "echo");
        Answer answer = await Host.Send(request);
        Assert.Equal((400, -32020), (answer.Status, answer.Error));
        Assert.DoesNotContain("echo versions", Host.Runs.All);
    }

    [Theory]
    [Trait("Attack", "140")]
    [InlineData(Names.Mcp.V20260728)]
    [InlineData(Names.Mcp.V20251125)]
    public async Task SessionId_ChosenByTheClient_IsNotAdopted(string version)
    {
        using HttpRequestMessage request = Host.Request(ToolHost.Call("echo", """{"text":"session"}""", version), Server.Token(), version);
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, "echo");
        request.Headers.Add(Names.Mcp.SessionHeader, "chosen-by-me");
        using HttpResponseMessage response = await Host.Http.SendAsync(request);
        Assert.False(response.Headers.Contains(Names.Mcp.SessionHeader));
        Assert.DoesNotContain("chosen-by-me", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }
}
