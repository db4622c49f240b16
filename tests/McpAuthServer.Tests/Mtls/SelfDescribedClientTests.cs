using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuthServer.Clients;
using McpAuthServer.Registry;

namespace McpAuthServer.Tests.Mtls;

/// <summary>Clients that no administrator registered: what has to do with certificates is not offered to them.</summary>
public sealed class SelfDescribedClientTests
{
    [Theory]
    [InlineData(ClientOrigin.Dynamic)]
    [InlineData(ClientOrigin.Document)]
    [Trait("Spec", "RFC8705-3.4")]
    public void BoundTokens_AskedForByAClientItself_AreRefusedAndNotPassedOver(string origin)
    {
        Assert.Equal((Names.Registration.InvalidMetadata, Names.Mtls.BoundAccessTokens), Fault(origin, Names.ClientAssertion.None, true));
        Assert.Null(Fault(origin, Names.ClientAssertion.None, false));
    }

    [Theory]
    [InlineData(ClientOrigin.Dynamic, Names.Mtls.TlsClientAuth)]
    [InlineData(ClientOrigin.Dynamic, Names.Mtls.SelfSignedTlsClientAuth)]
    [InlineData(ClientOrigin.Document, Names.Mtls.TlsClientAuth)]
    [InlineData(ClientOrigin.Document, Names.Mtls.SelfSignedTlsClientAuth)]
    public void MethodByCertificate_NamedByAClientItself_IsRefused(string origin, string method) =>
        Assert.Equal((Names.Registration.InvalidMetadata, Names.Registration.AuthMethod), Fault(origin, method, false));

    private static (string Code, string? Path)? Fault(string origin, string method, bool bound)
    {
        var json = new JsonObject
        {
            ["client_name"] = "Itself", ["redirect_uris"] = new JsonArray("http://127.0.0.1/cb"), [Names.Registration.AuthMethod] = method, [Names.Mtls.BoundAccessTokens] = bound,
        };
        return ClientMetadataReader.Read(StoredText.Json(json.ToJsonString()), origin, policy: null).TryGet(out _, out var fault) ? null : (fault.Code, fault.Path);
    }
}
