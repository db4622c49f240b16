using McpAuthServer.Attestation;

namespace McpAuthServer.Tests.Attestation;

public sealed class SpiffeIdTests
{
    [Theory]
    [InlineData("spiffe://example.org/a", "spiffe://example.org")]
    [InlineData("spiffe://1.example_org-2/ns/prod/sa/Agent_1.0-x", "spiffe://1.example_org-2")]
    public void Id_OfAWorkload_IsOfItsTrustDomain(string id, string domain)
    {
        Assert.Equal(domain, SpiffeId.TrustDomainOf(id));
        Assert.True(SpiffeId.IsTrustDomain(domain));
    }

    [Theory]
    [InlineData("spiffe://example.org"), InlineData("spiffe://example.org/"), InlineData("spiffe://example.org/a/"), InlineData("spiffe://example.org//a")]
    [InlineData("spiffe://example.org/./a"), InlineData("spiffe://example.org/a/.."), InlineData("spiffe://example.org/a%2Fb"), InlineData("spiffe://example.org/a?b")]
    [InlineData("spiffe://example.org/a#b"), InlineData("spiffe://Example.org/a"), InlineData("spiffe://example.org:443/a"), InlineData("spiffe://user@example.org/a")]
    [InlineData("spiffe:///a"), InlineData("SPIFFE://example.org/a"), InlineData("https://example.org/a"), InlineData("")]
    public void Text_ThatIsNoWorkloadsId_IsNone(string text) => Assert.Null(SpiffeId.TrustDomainOf(text));

    [Fact]
    public void Id_ThatIsLongerThanItMayBe_IsNone()
    {
        Assert.NotNull(SpiffeId.TrustDomainOf("spiffe://example.org/" + new string('a', 2048 - 21)));
        Assert.Null(SpiffeId.TrustDomainOf("spiffe://example.org/" + new string('a', 2049 - 21)));
        Assert.Null(SpiffeId.TrustDomainOf($"spiffe://{new string('a', 256)}/a"));
    }
}
