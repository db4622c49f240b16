using System.Net;
using System.Net.Http.Headers;
using System.Text;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Hostile;

/// <summary>Requests that are not one well-formed form in a POST body (RFC 6749 §3.2, Appendix B), at every endpoint that takes forms from clients.</summary>
public sealed class RequestFormTests(TestServer server) : IClassFixture<TestServer>
{
    private static readonly (string Path, string Refusal)[] Endpoints =
    [
        (Names.Paths.Token, AuditTypes.TokenRefused), (Names.Paths.Instances, AuditTypes.InstanceRefused), (Names.Paths.Revoke, AuditTypes.TokenRevoked),
        (Names.Paths.Introspect, AuditTypes.IntrospectionRefused), (Names.Paths.PushedRequests, AuditTypes.AuthorizationRefused), (Names.Paths.DeviceAuthorization, AuditTypes.DeviceRefused),
        (Names.Paths.BackchannelAuthentication, AuditTypes.AskingRefused),
    ];

    public static TheoryData<string, string> Paths
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var (path, refusal) in Endpoints)
                data.Add(path, refusal);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Paths))]
    [Trait("Attack", "60")]
    [Trait("Spec", "RFC6749-3.2")]
    public async Task Form_ByAnotherMethod_IsRefusedAndRecorded(string path, string refusal)
    {
        var s = await server.ScenarioAsync();
        foreach (var method in new[] { HttpMethod.Get, HttpMethod.Put, HttpMethod.Patch, HttpMethod.Delete, HttpMethod.Options })
        {
            using var answer = await RefusedAsync(() => s.Server.Client().SendAsync(
                new HttpRequestMessage(method, $"{path}?grant_type=client_credentials&client_id={s.ServiceClient}&client_secret={s.ServiceSecret}")),
                HttpStatusCode.MethodNotAllowed, null, refusal, "method_not_allowed");
            Assert.Equal(["POST"], answer.Content.Headers.Allow);
        }
        Assert.DoesNotContain(server.Logs.Lines, line => line.Contains(s.ServiceSecret, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Paths))]
    [Trait("Attack", "60")]
    [Trait("Spec", "RFC6749-2.3.1")]
    public async Task Form_WithParametersInTheQuery_IsRefused(string path, string refusal)
    {
        var s = await server.ScenarioAsync();

        foreach (var query in new[] { $"?client_secret={s.ServiceSecret}", "?scope=tools%3Aread", "?x" })
            (await RefusedAsync(
                () => PostAsync(s, path + query, ServiceForm(s) + "&token=unknown"), HttpStatusCode.BadRequest, null, refusal, Names.Errors.InvalidRequest)).Dispose();

        Assert.DoesNotContain(server.Logs.Lines, line => line.Contains(s.ServiceSecret, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Paths))]
    [Trait("Attack", "61")]
    [Trait("Spec", "RFC6749-3.2")]
    public async Task Form_OfAnotherContentType_IsRefused(string path, string refusal)
    {
        var s = await server.ScenarioAsync();
        var form = ServiceForm(s);
        var json = """{"grant_type":"client_credentials"}""";
        foreach (var (type, body) in new (string?, string)[]
        {
            ("application/json", json), ("application/json", form), ("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--x--"),
            ("text/plain", form), ("application/x-www-form-urlencodedx", form), ("application/x-www-form", form), ("*/*", form), ("", form), (";", form), (null, form),
        })
            (await RefusedAsync(() => PostAsync(s, path, body, type), HttpStatusCode.UnsupportedMediaType, null, refusal, Names.Errors.InvalidRequest)).Dispose();
    }

    [Theory]
    [InlineData("application/x-www-form-urlencoded; charset=utf-8")]
    [InlineData("Application/X-WWW-Form-URLEncoded")]
    [Trait("Spec", "RFC6749-3.2")]
    public async Task Form_TypeInAnotherSpelling_IsRead(string type)
    {
        var s = await server.ScenarioAsync();

        await (await PostAsync(s, Names.Paths.Token, ServiceForm(s), type)).ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    [Theory]
    [InlineData("grant_type=client_credentials")]
    [InlineData("grant_type=password")]
    [InlineData("grant_type=")]
    [InlineData("grant%5Ftype=client_credentials")]
    [InlineData("code=a&code=b")]
    [InlineData("scope=&scope=")]
    [InlineData("scope=tools%3Aread&scope=tools%3Aread")]
    [InlineData("client_id=a&client_id=a")]
    [InlineData("client_secret=a&client_secret=b")]
    [InlineData("client_assertion=a&client_assertion=b")]
    [InlineData("client_assertion_type=a&client_assertion_type=b")]
    [InlineData("authorization_details=%5B%5D&authorization_details=%5B%5D")]
    [InlineData("subject_token=a&subject_token=b")]
    [InlineData("unheard_of=1&unheard_of=2")]
    [Trait("Attack", "62")]
    [Trait("Spec", "RFC6749-3.2")]
    public async Task Form_ParameterTwice_IsRefused(string more)
    {
        var s = await server.ScenarioAsync();

        foreach (var body in new[] { $"{ServiceForm(s)}&{more}", $"{more}&{ServiceForm(s)}" })
            (await RefusedAsync(
                () => PostAsync(s, Names.Paths.Token, body), HttpStatusCode.BadRequest, "duplicate_parameter", AuditTypes.TokenRefused, "duplicate_parameter")).Dispose();
    }

    [Theory]
    [MemberData(nameof(Paths))]
    [Trait("Attack", "62")]
    public async Task Form_AssertionTwice_IsRefusedEverywhere(string path, string refusal)
    {
        var s = await server.ScenarioAsync();
        var right = $"client_assertion_type={Uri.EscapeDataString(Names.ClientAssertion.JwtBearer)}&client_assertion={s.Agent.Assertion()}";

        (await RefusedAsync(
            () => PostAsync(s, path, $"{right}&client_assertion=", authorization: null), HttpStatusCode.BadRequest, "duplicate_parameter", refusal, "duplicate_parameter")).Dispose();
    }

    [Theory]
    [InlineData("scope=%")]
    [InlineData("scope=%zz")]
    [InlineData("scope=%ff")]
    [InlineData("scope=a%00b")]
    [InlineData("=x")]
    [InlineData("%00=x")]
    [InlineData("scope=%ed%a0%80")]
    [Trait("Spec", "RFC6749-B")]
    public async Task Form_BadlyEncoded_IsRefused(string more)
    {
        var s = await server.ScenarioAsync();

        (await RefusedAsync(
            () => PostAsync(s, Names.Paths.Token, $"{ServiceForm(s)}&{more}"), HttpStatusCode.BadRequest, "malformed_form", AuditTypes.TokenRefused, "malformed_form")).Dispose();
    }

    [Fact]
    [Trait("Spec", "RFC6749-3.2")]
    public async Task Form_UnknownOrEmptyParameters_AreIgnored()
    {
        var s = await server.ScenarioAsync();

        var token = await (await PostAsync(s, Names.Paths.Token, $"{ServiceForm(s)}&unheard_of=1&Scope=x&scope=&client_secret=")).ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.Equal("tools:read", token.Scope);
    }

    [Theory]
    [MemberData(nameof(Paths))]
    [Trait("Attack", "64")]
    public async Task Form_TooLarge_IsRefusedAndTheNextIsServed(string path, string refusal)
    {
        var s = await server.ScenarioAsync();
        var padding = ServiceForm(s) + "&x=";
        foreach (var (length, known) in new[] { (10_000_000, true), (10_000_000, false), (Limits.TokenBody + 1, true), (Limits.TokenBody + 1, false) })
        {
            var body = padding + new string('a', length - padding.Length);
            (await RefusedAsync(() => PostAsync(s, path, body, knownLength: known), HttpStatusCode.RequestEntityTooLarge, null, refusal, Names.Errors.InvalidRequest)).Dispose();
        }

        using var next = await PostAsync(s, Names.Paths.Token, padding + new string('a', Limits.TokenBody - padding.Length));
        Assert.Equal(HttpStatusCode.OK, next.StatusCode);
    }

    [Theory]
    [MemberData(nameof(Paths))]
    [Trait("Attack", "64")]
    public async Task Form_OfTooManyFields_IsRefused(string path, string refusal)
    {
        var s = await server.ScenarioAsync();
        foreach (var fields in new[] { 1_100, 65 })
        {
            var body = string.Join('&', Enumerable.Range(0, fields).Select(i => $"k{i}=v"));
            (await RefusedAsync(() => PostAsync(s, path, body), HttpStatusCode.BadRequest, "too_many_fields", refusal, "too_many_fields")).Dispose();
        }
    }

    [Theory]
    [InlineData("password")]
    [InlineData("implicit")]
    [InlineData("urn:ietf:params:oauth:grant-type:saml2-bearer")]
    [InlineData("CLIENT_CREDENTIALS")]
    [InlineData("client_credentials ")]
    [InlineData("client_credentials\0", "malformed_form")]
    [InlineData("client_credentials<script>")]
    [Trait("Attack", "65")]
    [Trait("Spec", "RFC6749-5.2")]
    public async Task GrantType_NotOffered_IsRefused(string type, string? malformed = null)
    {
        var s = await server.ScenarioAsync();
        var body = $"grant_type={Uri.EscapeDataString(type)}&resource={Uri.EscapeDataString(s.Resource)}&username=u&password=p";

        using var answer = await RefusedAsync(
            () => PostAsync(s, Names.Paths.Token, body), HttpStatusCode.BadRequest, malformed, AuditTypes.TokenRefused, malformed ?? Names.Errors.UnsupportedGrantType,
            malformed is null ? Names.Errors.UnsupportedGrantType : Names.Errors.InvalidRequest);

        Assert.DoesNotContain("<script", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("grant_type=&")]
    [Trait("Spec", "RFC6749-5.2")]
    public async Task GrantType_Missing_IsRefused(string type)
    {
        var s = await server.ScenarioAsync();

        (await RefusedAsync(
            () => PostAsync(s, Names.Paths.Token, $"{type}resource={Uri.EscapeDataString(s.Resource)}"),
            HttpStatusCode.BadRequest, null, AuditTypes.TokenRefused, Names.Errors.InvalidRequest)).Dispose();
    }

    [Fact]
    [Trait("Spec", "RFC6749-5.2")]
    public async Task Error_DescribingHostileInput_HasOnlyTheCharactersADescriptionMayHave()
    {
        var s = await server.ScenarioAsync(o => o.Agent["client_credentials"] = true);
        var form = s.Agent.AssertionForm();
        form["grant_type"] = Names.OAuth.ClientCredentials;
        foreach (var details in new[]
        {
            "[{\"type\":\"mcp_tool_call\",\"a\\\"b\\\\c\\u00e9\\r\\nSet-Cookie: x<script>\":1}]",
            "[{\"type\":\"mcp_tool_call\",\"locations\":[\"x\"],\"tools\":{\"t\\\"\\\\\\u00e9\":{\"\\u0000\":1}}}]",
            "[{\"\\\"\\u00e9\":1,\"\\\"\\u00e9\":2}]",
        })
        {
            form["authorization_details"] = details;
            form["client_assertion"] = s.Agent.Assertion();
            var refusal = await (await s.Agent.PostFormAsync(Names.Paths.Token, form, proof: null)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails);

            // RFC 6749 §5.2: %x20-21 / %x23-5B / %x5D-7E.
            Assert.All(refusal.Description!, c => Assert.True(c is >= ' ' and <= '~' and not ('"' or '\\'), $"{refusal.Description} has U+{(int)c:X4}"));
        }
    }

    private static string ServiceForm(Scenario s) => $"grant_type=client_credentials&resource={Uri.EscapeDataString(s.Resource)}";

    private static async Task<HttpResponseMessage> PostAsync(
        Scenario s, string path, string body, string? type = "application/x-www-form-urlencoded", bool knownLength = true, string? authorization = "")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = knownLength ? new ByteArrayContent(Encoding.UTF8.GetBytes(body)) : new Unmeasured(body) };
        if (type is not null)
            request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
        if (authorization is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{s.ServiceClient}:{s.ServiceSecret}")));
        return await s.Server.Client().SendAsync(request);
    }

    private async Task<HttpResponseMessage> RefusedAsync(
        Func<Task<HttpResponseMessage>> act, HttpStatusCode status, string? reason, string type, string recorded, string error = Names.Errors.InvalidRequest)
    {
        HttpResponseMessage? answer = null;
        await server.RefusedAsync(async () => answer = await act(), status, error, reason, type, recorded);
        return answer!;
    }

    /// <summary>A body that does not say how long it is.</summary>
    private sealed class Unmeasured(string body) : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => stream.WriteAsync(Encoding.UTF8.GetBytes(body)).AsTask();

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
