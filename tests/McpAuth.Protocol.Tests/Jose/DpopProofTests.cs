using McpAuth.Protocol.Jose;

namespace McpAuth.Protocol.Tests.Jose;

public class DpopProofTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_795_345_200);

    [Theory, InlineData("ES256"), InlineData("RS256"), Trait("Spec", "RFC9449-4.3")]
    public void DpopProof_MadeByCreate_IsRead(string algorithm)
    {
        using var key = SigningKey.Create(algorithm);
        var uri = new Uri("https://auth.example/token");
        var proof = DpopProof.Read([DpopProof.Create(key, "POST", uri, "token", Now, "nonce-1")], "POST", uri, "token", Now);
        Assert.Null(proof.Fault);
        Assert.Equal(key.Public.Thumbprint, proof.Value.Thumbprint);
        Assert.Equal("nonce-1", proof.Value.Nonce);
        Assert.Equal(Now, proof.Value.IssuedAt);
    }
}
