using System.Net.Http.Headers;
using System.Text;
using McpAuth.Protocol.Jose;

namespace McpAuth.Client.Tests;

public sealed class ClientAuthenticationTests
{
    private const string Issuer = "https://auth.example";
    private static readonly DateTimeOffset Now = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    [Trait("Spec", "RFC7523-3")]
    public void PrivateKeyJwt_Assertion_NamesClientAndIssuerAloneAndIsShort()
    {
        using SigningKey key = SigningKey.Create();
        (Dictionary<string, string> form, _) = Applied(ClientAuthentication.PrivateKeyJwt("agent-1", key));
        Assert.Equal("urn:ietf:params:oauth:client-assertion-type:jwt-bearer", form["client_assertion_type"]);
        var rules = new JwtRules("test", ["client-authentication+jwt"], TypeRequired: true, ["ES256"]);
        StrictJwt jwt = StrictJwt.Read(form["client_assertion"], rules).Value;
        Assert.True(key.Public.Verify(jwt));
        Assert.Equal("agent-1", jwt.Text("iss"));
        Assert.Equal("agent-1", jwt.Text("sub"));
        Assert.Equal([Issuer], jwt.Audiences);
        Assert.InRange(jwt.Time("exp")!.Value, Now.AddSeconds(1), Now.AddMinutes(5));
        Assert.Equal(key.KeyId, jwt.KeyId);
    }

    [Fact]
    [Trait("Spec", "RFC7523-3")]
    public void PrivateKeyJwt_TwoRequestsInOneInstant_CarryDifferentJtis()
    {
        using SigningKey key = SigningKey.Create();
        ClientAuthentication client = ClientAuthentication.PrivateKeyJwt("agent-1", key);
        Assert.NotEqual(Jti(client), Jti(client));
    }

    [Fact]
    [Trait("Spec", "RFC6749-2.3.1")]
    public void SecretBasic_ReservedCharacters_AreFormEncodedBeforeTheyAreJoined()
    {
        (Dictionary<string, string> form, AuthenticationHeaderValue? header) = Applied(ClientAuthentication.SecretBasic("a:b c", "s%:ü"));
        Assert.Empty(form);
        Assert.Equal("Basic", header!.Scheme);
        Assert.Equal("a%3Ab+c:s%25%3A%C3%BC", Encoding.ASCII.GetString(Convert.FromBase64String(header.Parameter!)));
    }

    [Fact]
    public void SecretPost_Form_CarriesIdAndSecretAndNoHeader()
    {
        (Dictionary<string, string> form, AuthenticationHeaderValue? header) = Applied(ClientAuthentication.SecretPost("a", "hush"));
        Assert.Null(header);
        Assert.Equal("a", form["client_id"]);
        Assert.Equal("hush", form["client_secret"]);
    }

    [Fact]
    public void Public_Form_CarriesTheIdAlone()
    {
        (Dictionary<string, string> form, AuthenticationHeaderValue? header) = Applied(ClientAuthentication.Public("a"));
        Assert.Null(header);
        Assert.Equal("a", Assert.Single(form).Value);
    }

    [Fact]
    [Trait("Attack", "162")]
    public void ToString_NeverShowsTheSecret()
    {
        Assert.DoesNotContain("hush", ClientAuthentication.SecretBasic("a", "hush").ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("hush", ClientAuthentication.SecretPost("a", "hush").ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("hush", new AccessToken("hush", Now, Now, null).ToString(), StringComparison.Ordinal);
    }

    private static string? Jti(ClientAuthentication client)
    {
        var rules = new JwtRules("test", ["client-authentication+jwt"], TypeRequired: true, ["ES256"]);
        return StrictJwt.Read(Applied(client).Form["client_assertion"], rules).Value.Text("jti");
    }

    private static (Dictionary<string, string> Form, AuthenticationHeaderValue? Header) Applied(ClientAuthentication client)
    {
        using var message = new HttpRequestMessage();
        List<KeyValuePair<string, string>> form = [];
        client.Apply(form, message.Headers, Issuer, Now);
        return (form.ToDictionary(), message.Headers.Authorization);
    }
}
