using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;
using McpAuthServer.Clients;
using McpAuthServer.Registry;
using McpAuthServer.Tests.Clients.Documents;

namespace McpAuthServer.Tests.Clients;

public sealed class ClientMetadataTests
{
    private const string Document = ClientOrigin.Document, Dynamic = ClientOrigin.Dynamic;

    private static readonly SigningKey Key = SigningKey.Create();

    private static string Jwk => Key.Public.Jwk.GetRawText();

    /// <summary>What clients of others were seen to send or to publish.</summary>
    public static TheoryData<string, string, string, string[]> OfOthers => new()
    {
        { Dynamic, """{"client_name":"Claude","redirect_uris":["https://claude.ai/api/mcp/auth_callback"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none","scope":"tools:read"}""", "none", ["authorization_code", "refresh_token"] },
        { Document, """{"client_id":"https://claude.ai/oauth/claude-code-client-metadata","client_name":"Claude Code","client_uri":"https://claude.ai","redirect_uris":["http://localhost/callback","http://127.0.0.1/callback"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none"}""", "none", ["authorization_code", "refresh_token"] },
        { Dynamic, """{"client_name":"Claude Code (files)","redirect_uris":["http://localhost:3118/callback"],"application_type":"native","grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none"}""", "none", ["authorization_code", "refresh_token"] },
        { Document, """{"client_id":"https://chatgpt.com/oauth/tU1UVEq8rRTK/client.json","client_uri":"https://chatgpt.com/","redirect_uris":["https://chatgpt.com/connector/oauth/tU1UVEq8rRTK"],"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_methods_supported":["none","private_key_jwt"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"client_name":"ChatGPT","token_endpoint_auth_signing_alg":"RS256","jwks_uri":"https://chatgpt.com/oauth/jwks.json"}""", "private_key_jwt", ["authorization_code", "refresh_token"] },
        { Dynamic, """{"client_name":"Cursor","redirect_uris":["cursor://anysphere.cursor-mcp/oauth/callback","https://www.cursor.com/agents/mcp/oauth/callback","http://localhost:8787/callback"],"application_type":"web","token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"response_types":["code"]}""", "none", ["authorization_code", "refresh_token"] },
        { Dynamic, """{"client_name":"Visual Studio Code","client_uri":"https://code.visualstudio.com","redirect_uris":["https://insiders.vscode.dev/redirect","https://vscode.dev/redirect","http://127.0.0.1/","http://127.0.0.1:33418/"],"grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"],"response_types":["code"],"token_endpoint_auth_method":"none","application_type":"native"}""", "none", ["authorization_code", "refresh_token", Names.Device.GrantType] },
        { Dynamic, """{"client_name":"Gemini CLI MCP Client","redirect_uris":["http://localhost:7777/oauth/callback"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none","scope":""}""", "none", ["authorization_code", "refresh_token"] },
        { Dynamic, """{"client_name":"MCP CLI Proxy","client_uri":"https://github.com/modelcontextprotocol/mcp-cli","redirect_uris":["http://localhost:3334/oauth/callback"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none","software_id":"6b1a4c0e-5d1f-4a57-9c39-0d4c6f0b7a11","software_version":"0.1.0","scope":"openid email profile"}""", "none", ["authorization_code", "refresh_token"] },
        { Dynamic, """{"client_name":"MCP Inspector","client_uri":"https://github.com/modelcontextprotocol/inspector","redirect_uris":["http://localhost:6274/oauth/callback","http://localhost:6274/oauth/callback/debug"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"client_secret_basic","scope":"tools:read"}""", "client_secret_basic", ["authorization_code", "refresh_token"] },
    };

    [Theory, MemberData(nameof(OfOthers))]
    [Trait("Spec", "RFC7591-2")]
    public void Metadata_OfClientsOfOthers_IsTaken(string origin, string json, string method, string[] grants)
    {
        var metadata = Read(json, origin).Value;

        Assert.Equal((method, origin == Document && method == "private_key_jwt"), (metadata.AuthMethod, metadata.AlsoPublic));
        Assert.Equal(grants, metadata.GrantTypes);
        Assert.Equal(JsonNode.Parse(json)!["redirect_uris"]!.AsArray().Select(u => (string)u!), metadata.RedirectUris);
    }

    [Theory]
    [InlineData("javascript:alert(1)")]
    [InlineData("data:text/html,<script>alert(1)</script>")]
    [InlineData(" JaVa\\tScript:alert(1)")]
    [InlineData("vbscript:x")]
    [Trait("Attack", "8")]
    public void RedirectUri_OfAScriptOrData_NamesItself(string uri) => RefusesRedirect(uri);

    [Theory]
    [InlineData("http://app.example/cb")]
    [InlineData("https://app.example/cb#fragment")]
    [InlineData("https://app.example/cb#")]
    [InlineData("https://user@app.example/cb")]
    [InlineData("https://user:secret@app.example/cb")]
    [InlineData("https://*.example/cb")]
    [InlineData("https://app.example\\\\@evil.example/cb")]
    [InlineData("https://app.example/cb\\\\x")]
    [InlineData("http://127.0.0.2/cb")]
    [InlineData("http://localhost.evil.example/cb")]
    [Trait("Attack", "9")]
    public void RedirectUri_WithoutTlsOrOpenToReadings_NamesItself(string uri) => RefusesRedirect(uri);

    private static void RefusesRedirect(string uri)
    {
        foreach (var origin in new[] { Dynamic, Document })
        {
            var fault = Read($$"""{"token_endpoint_auth_method":"none","redirect_uris":["https://a.example/cb","{{uri}}","http://localhost/cb"]}""", origin).Fault!;
            Assert.Equal(("invalid_redirect_uri", "redirect_uris[1]"), (fault.Code, fault.Path));
            Assert.Contains(JsonSerializer.Deserialize<string>($"\"{uri}\"")!, fault.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("""{}""", "invalid_redirect_uri", "redirect_uris")]
    [InlineData("""{"redirect_uris":[]}""", "invalid_redirect_uri", "redirect_uris")]
    [InlineData("""{"redirect_uris":"https://a.example/cb"}""", "invalid_redirect_uri", "redirect_uris")]
    [InlineData("""{"redirect_uris":[1]}""", "invalid_redirect_uri", "redirect_uris")]
    [InlineData("""{"redirect_uris":["com.example.app:/cb"],"token_endpoint_auth_method":"client_secret_post"}""", "invalid_redirect_uri", "redirect_uris[0]")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"client_secret_jwt"}""", "invalid_client_metadata", "token_endpoint_auth_method")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"tls_client_auth"}""", "invalid_client_metadata", "token_endpoint_auth_method")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":1}""", "invalid_client_metadata", "token_endpoint_auth_method")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"grant_types":["client_credentials"]}""", "invalid_client_metadata", "grant_types")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"grant_types":["refresh_token"]}""", "invalid_client_metadata", "grant_types")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"grant_types":[]}""", "invalid_client_metadata", "grant_types")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"response_types":["token"]}""", "invalid_client_metadata", "response_types")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt"}""", "invalid_client_metadata", "jwks")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[]}}""", "invalid_client_metadata", "jwks")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":{}}}""", "invalid_client_metadata", "jwks")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"http://a.example/jwks"}""", "invalid_client_metadata", "jwks_uri")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"jwks_uri":"https://127.0.0.1/jwks"}""", "invalid_client_metadata", "jwks_uri")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"jwks_uri":"https://169.254.169.254/latest/meta-data"}""", "invalid_client_metadata", "jwks_uri")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://a.example/jwks","token_endpoint_auth_signing_alg":"HS256"}""", "invalid_client_metadata", "token_endpoint_auth_signing_alg")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"id_token_signed_response_alg":"none"}""", "invalid_client_metadata", "id_token_signed_response_alg")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"id_token_signed_response_alg":"HS256"}""", "invalid_client_metadata", "id_token_signed_response_alg")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"client_name":{}}""", "invalid_client_metadata", "client_name")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"dpop_bound_access_tokens":"true"}""", "invalid_client_metadata", "dpop_bound_access_tokens")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"require_pushed_authorization_requests":1}""", "invalid_client_metadata", "require_pushed_authorization_requests")]
    [InlineData("""{"redirect_uris":["https://a.example/cb"],"post_logout_redirect_uris":["https://a.example/out","javascript:x"]}""", "invalid_client_metadata", "post_logout_redirect_uris[1]")]
    [InlineData("""[]""", "invalid_client_metadata", null)]
    [InlineData("\"x\"", "invalid_client_metadata", null)]
    [Trait("Spec", "RFC7591-3.2.2")]
    public void Registration_ThatIsWrong_IsRefusedByItsMember(string json, string error, string? member)
    {
        var fault = Read(json, Dynamic).Fault!;
        Assert.Equal((error, member), (fault.Code, fault.Path));
    }

    [Theory]
    [InlineData("{\"kty\":\"oct\",\"k\":\"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0\"}")]
    [InlineData("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}")]
    [InlineData("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\",\"d\":\"AQAB\"}")]
    [Trait("Attack", "13")]
    public void Keys_PrivateOrSymmetric_AreRefused_WhateverTheMethod(string jwk)
    {
        foreach (var method in new[] { "private_key_jwt", "none", "client_secret_basic" })
            foreach (var keys in new[] { jwk, $"{Jwk},{jwk}" })
                RefusesKeys($$$"""{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"{{{method}}}","jwks":{"keys":[{{{keys}}}]}}""", Dynamic);
        RefusesKeys($$$"""{"redirect_uris":["https://a.example/cb"],"jwks":{"keys":[{{{jwk}}}]}}""", Document);
    }

    [Fact]
    [Trait("Attack", "13")]
    public void Keys_InlineAndByAddress_AreRefused()
    {
        foreach (var origin in new[] { Dynamic, Document })
            RefusesKeys($$$"""{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[{{{Jwk}}}]},"jwks_uri":"https://a.example/jwks"}""", origin);
    }

    [Fact]
    public void Keys_TooMany_OrOfOtherAlgorithms_AreRefused()
    {
        RefusesKeys($$$"""{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[{{{string.Join(',', Enumerable.Repeat(Jwk, 17))}}}]}}""", Dynamic);
        RefusesKeys("""{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}}""", Dynamic);
    }

    private static void RefusesKeys(string json, string origin)
    {
        var fault = Read(json, origin).Fault;
        Assert.Equal(("invalid_client_metadata", "jwks"), (fault?.Code, fault?.Path));
    }

    [Theory]
    [InlineData("eyJhbGciOiJub25lIn0.eyJzb2Z0d2FyZV9pZCI6IjEifQ.", "invalid_software_statement")]
    [InlineData("not a statement", "invalid_software_statement")]
    [InlineData("", "invalid_software_statement")]
    [InlineData("eyJhbGciOiJFUzI1NiJ9.eyJzb2Z0d2FyZV9pZCI6IjEifQ.c2lnbmF0dXJl", "unapproved_software_statement")]
    [Trait("Attack", "11")]
    [Trait("Spec", "RFC7591-3.1.1")]
    public void SoftwareStatement_UnsignedOrOfNobodyKnown_IsRefused(string statement, string error)
    {
        foreach (var origin in new[] { Dynamic, Document })
            Assert.Equal(error, Read($$"""{"redirect_uris":["https://a.example/cb"],"software_statement":"{{statement}}"}""", origin).Fault?.Code);
        Assert.Equal("invalid_software_statement", Read("""{"redirect_uris":["https://a.example/cb"],"software_statement":{}}""", Dynamic).Fault?.Code);
    }

    [Fact]
    [Trait("Attack", "11")]
    public void Grants_NotForWhoeverRegistersItself_AreLeftOut()
    {
        var all = new[] { "password", "implicit", "client_credentials", Names.Exchange.GrantType, "urn:ietf:params:oauth:grant-type:jwt-bearer", "refresh_token", "authorization_code" };
        foreach (var origin in new[] { Dynamic, Document })
        {
            var client = Read($$"""{"client_name":"A","redirect_uris":["https://a.example/cb"],"grant_types":{{JsonSerializer.Serialize(all)}},"scope":"admin tools:read"}""", origin).Value.ToClient("https://a.client.test/x", origin, null, true);
            Assert.Equal(["authorization_code", "refresh_token"], client.GrantTypes.Order());
            Assert.True(client.AgentId is null && client.Authority.IsEmpty);
            Assert.DoesNotContain("scope", client.Metadata, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("""{}""", "none", false)]
    [InlineData("""{"token_endpoint_auth_method":"none"}""", "none", false)]
    [InlineData("""{"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[KEY]}}""", "private_key_jwt", false)]
    [InlineData("""{"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://a.example/jwks"}""", "private_key_jwt", false)]
    [InlineData("""{"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_methods_supported":["private_key_jwt"],"jwks_uri":"https://a.example/jwks"}""", "private_key_jwt", false)]
    [InlineData("""{"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_methods_supported":["none","private_key_jwt"],"jwks_uri":"https://a.example/jwks"}""", "private_key_jwt", true)]
    [InlineData("""{"token_endpoint_auth_method":"none","token_endpoint_auth_methods_supported":["private_key_jwt"],"jwks_uri":"https://a.example/jwks"}""", "private_key_jwt", true)]
    [InlineData("""{"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_methods_supported":["none","private_key_jwt"]}""", "none", false)]
    [InlineData("""{"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_methods_supported":["tls_client_auth"],"jwks_uri":"https://a.example/jwks"}""", "private_key_jwt", false)]
    [InlineData("""{"jwks_uri":"https://a.example/jwks"}""", "none", false)]
    [Trait("Spec", "CIMD-8.2")]
    public void Document_WithSeveralMethods_IsTakenByWhatBothSidesCan(string json, string method, bool alsoPublic)
    {
        var metadata = Read(json.Replace("KEY", Jwk, StringComparison.Ordinal).Replace("{", """{"client_name":"A","redirect_uris":["https://a.example/cb"],""", StringComparison.Ordinal, once: true), Document).Value;
        Assert.Equal((method, alsoPublic), (metadata.AuthMethod, metadata.AlsoPublic));
        Assert.Equal(method == "none", metadata.Keys.Count == 0 && metadata.JwksUri is null);
    }

    [Theory]
    [InlineData("""{"client_secret":"s"}""")]
    [InlineData("""{"client_secret":""}""")]
    [InlineData("""{"client_secret_expires_at":0}""")]
    [InlineData("""{"token_endpoint_auth_method":"client_secret_basic"}""")]
    [InlineData("""{"token_endpoint_auth_method":"client_secret_post"}""")]
    [InlineData("""{"token_endpoint_auth_method":"client_secret_jwt"}""")]
    [InlineData("""{"token_endpoint_auth_method":"none","token_endpoint_auth_methods_supported":["none","client_secret_basic"]}""")]
    [InlineData("""{"token_endpoint_auth_method":"tls_client_auth"}""")]
    [InlineData("""{"token_endpoint_auth_method":"private_key_jwt"}""")]
    [Trait("Attack", "26")]
    public void Document_WithASecretOrAMethodThatCannotBe_IsRefused(string json) =>
        Assert.Equal("invalid_client_metadata", Read(json.Replace("{", """{"client_name":"A","redirect_uris":["https://a.example/cb"],""", StringComparison.Ordinal, once: true), Document).Fault?.Code);

    [Fact]
    public void Metadata_Bounds_AreHeld()
    {
        string Of(int uris, int name) => JsonSerializer.Serialize(new
        {
            redirect_uris = Enumerable.Range(0, uris).Select(i => $"https://a.example/{i}"), client_name = new string('a', name),
        });
        Assert.True(Read(Of(ClientMetadataReader.MostUris, ClientMetadataReader.NameLength), Dynamic).Ok);
        Assert.Equal("redirect_uris", Read(Of(ClientMetadataReader.MostUris + 1, 1), Dynamic).Fault?.Path);
        Assert.Equal("client_name", Read(Of(1, ClientMetadataReader.NameLength + 1), Dynamic).Fault?.Path);
    }

    [Fact]
    [Trait("Spec", "RFC7591-2")]
    public void Registration_ThatSaysOnlyWhereTo_HasTheDefaultsOfTheStandard()
    {
        var metadata = Read("""{"redirect_uris":["https://app.example/cb"]}""", Dynamic).Value;

        Assert.Equal(("client_secret_basic", "authorization_code"), (metadata.AuthMethod, Assert.Single(metadata.GrantTypes)));
        Assert.Equal("[\"code\"]", JsonElement.Parse(metadata.ToJson()).GetProperty("response_types").GetRawText());
    }

    [Theory]
    [InlineData("")]
    [InlineData(",\"client_name\":\" \"")]
    [InlineData(",\"client_name\":null")]
    public void Name_NotGivenInARegistration_IsWhereTheClientIsFrom(string name) =>
        Assert.Equal("app.example", Read($$"""{"redirect_uris":["https://app.example/cb"]{{name}}}""", Dynamic).Value.ToClient("dyn_1", Dynamic, null, true).Name);

    [Theory]
    [InlineData("")]
    [InlineData(",\"client_name\":\" \"")]
    [InlineData(",\"client_name\":null")]
    [Trait("Spec", "MCP-2026-07-28-registration")]
    public void Name_OfADocument_IsNeeded(string name)
    {
        var fault = Read($$"""{"redirect_uris":["https://app.example/cb"]{{name}}}""", Document).Fault!;
        Assert.Equal(("invalid_client_metadata", "client_name"), (fault.Code, fault.Path));
    }

    [Fact]
    public void Null_IsAsIfItWereNotThere() => Assert.True(Read(
        """{"redirect_uris":["https://a.example/cb"],"jwks":null,"jwks_uri":null,"software_statement":null,"client_name":"A","scope":null,"grant_types":null,"client_secret":null}""", Document).Ok);

    /// <summary>Whatever is put together of right and wrong members: an answer, bounded in what it grants, and one text for one meaning.</summary>
    [Fact]
    public void Metadata_Any_IsReadWithoutFailing_AndWhatIsKeptReadsAsItself()
    {
        string[] values =
        [
            "null", "true", "1", "\"\"", "\"none\"", "\"private_key_jwt\"", "\"client_secret_basic\"", "[]", "{}", "[\"none\",\"private_key_jwt\"]", "[\"authorization_code\",\"client_credentials\"]",
            "[\"refresh_token\",\"authorization_code\"]", $"[\"{Names.Device.GrantType}\"]", "[\"code\"]", "[\"code\",\"token\"]", "[\"https://a.example/cb\"]", "[\"http://localhost/cb\",\"com.example.app:/x\"]",
            "[\"javascript:x\"]", "\"https://a.example/jwks\"", "\"https://127.0.0.1/jwks\"", $"{{\"keys\":[{Jwk}]}}", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}", "\"ES256\"", "\"a name\"",
        ];
        string[] members =
        [
            "redirect_uris", "token_endpoint_auth_method", "token_endpoint_auth_methods_supported", "grant_types", "response_types", "jwks", "jwks_uri", "client_name", "software_statement",
            "dpop_bound_access_tokens", "require_pushed_authorization_requests", "post_logout_redirect_uris", "client_secret", "token_endpoint_auth_signing_alg", "scope", "logo_uri", "x",
        ];
        var taken = 0;
        Prop.ForAll(
            (from chosen in Gen.ListOf(Gen.Elements(members), 4) from picks in Gen.ArrayOf(Gen.Elements(values), 4) from good in Gen.Choose(0, 3) from count in Gen.Choose(0, 4) from origin in Gen.Elements(Dynamic, Document)
             select (Json: "{" + string.Join(',', chosen.Zip(picks).Take(count).DistinctBy(m => m.First).Where(m => m.First != "redirect_uris" || good == 0).Select(m => $"\"{m.First}\":{m.Second}")
                 .Concat(good == 0 ? [] : new[] { "\"redirect_uris\":[\"https://a.example/cb\"]" })
                 .Concat(good < 2 || chosen.Contains("client_name") ? [] : new[] { "\"client_name\":\"A\"" })) + "}", Origin: origin)).ToArbitrary(),
            input =>
            {
                if (!Read(input.Json, input.Origin).TryGet(out var metadata, out var fault))
                {
                    Assert.Contains(fault.Code, new[] { "invalid_redirect_uri", "invalid_client_metadata", "invalid_software_statement", "unapproved_software_statement" });
                    return;
                }
                taken++;
                var client = metadata.ToClient("https://a.client.test/x", input.Origin, "hash", true);
                Assert.Subset(ClientMetadata.Grantable.ToHashSet(), client.GrantTypes.ToHashSet());
                Assert.True(client.Authority.IsEmpty && client.AgentId is null && (client.SecretHash is null || input.Origin == Dynamic));
                Assert.All(client.RedirectUris, uri => Assert.Null(RedirectUri.Refuses(uri, client.Public || input.Origin == Document)));
                Assert.Equal(client.AuthMethod == "private_key_jwt", client.Keys.Count > 0 || client.KeySet is not null);
                // Kept, read again, kept again.
                Assert.Equal(client.Metadata, Read(client.Metadata!, input.Origin).Value.ToJson());
            }).Check(Config.QuickThrowOnFailure.WithMaxTest(4000));
        Assert.True(taken > 200, taken.ToString(CultureInfo.InvariantCulture));
    }

    private static Result<ClientMetadata> Read(string json, string origin) =>
        ClientMetadataReader.Read(StrictJson.Parse(json, new JsonLimits(64 * 1024)).Value, origin, FetchPolicyTests.Policy());
}

file static class Texts
{
    public static string Replace(this string text, string old, string with, StringComparison comparison, bool once)
    {
        var at = text.IndexOf(old, comparison);
        return once && at >= 0 ? text[..at] + (text[(at + old.Length)..] is "}" ? with.TrimEnd(',') + "}" : with + text[(at + old.Length)..]) : text;
    }
}
