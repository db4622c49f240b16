using System.Globalization;

namespace McpAuthServer.Tests;

public sealed class ServerOptionsTests
{
    [Theory]
    [InlineData("https://auth.example")]
    [InlineData("https://auth.example:8443/tenant/one")]
    [InlineData("http://127.0.0.1:5080")]
    [InlineData("http://[::1]:5080")]
    [InlineData("http://localhost:5080")]
    [Trait("Spec", "RFC8414-2")]
    public void Issuer_HttpsOrLoopback_IsTaken(string issuer) => Assert.Empty(Faults(o => o.Issuer = issuer));

    [Theory]
    [InlineData("")]
    [InlineData("auth.example")]
    [InlineData("http://auth.example")]
    [InlineData("http://localhost.evil.example")]
    [InlineData("http://127.0.0.1.evil.example")]
    [InlineData("http://0.0.0.0:5080")]
    [InlineData("http://10.0.0.1")]
    [InlineData("ftp://auth.example")]
    [InlineData("javascript:alert(1)")]
    [InlineData("https://auth.example/")]
    [InlineData("https://auth.example?x=1")]
    [InlineData("https://auth.example#f")]
    [InlineData("https://user@auth.example")]
    [InlineData(" https://auth.example")]
    [InlineData("https://auth.example ")]
    [InlineData("https://AUTH.example")]
    [InlineData("https://auth.example:443")]
    [InlineData("https://auth.example/a/../b")]
    [InlineData("https://auth.example/{tenant}")]
    [InlineData("https://auth.example/a%2fb")]
    [InlineData("https://auth.example//a")]
    [InlineData("https://auth.example\\a")]
    [Trait("Spec", "RFC8414-2")]
    public void Issuer_OfAnotherForm_IsRefused(string issuer) => Assert.Contains(Faults(o => o.Issuer = issuer), f => f.Contains("McpAuth:Issuer", StringComparison.Ordinal));

    [Fact]
    public void KeyEncryptionKey_Absent_IsRefusedUnlessTheIssuerIsLoopback()
    {
        Assert.Contains(Faults(o => o.KeyEncryptionKey = null), f => f.Contains("mandatory", StringComparison.Ordinal));
        Assert.Empty(Faults(o => (o.KeyEncryptionKey, o.Issuer) = (null, "http://127.0.0.1:5080")));
        Assert.Contains(Faults(o => o.KeyEncryptionKeyFile = "also"), f => f.Contains("exclude each other", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("HS256")]
    [InlineData("none")]
    [InlineData("es256")]
    public void SigningAlgorithm_Other_IsRefused(string algorithm) => Assert.Single(Faults(o => o.SigningAlgorithm = algorithm));

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(301)]
    public void AccessTokenLifetime_NoneOrOverFiveMinutes_IsRefused(int seconds) => Assert.Single(Faults(o => o.AccessTokenLifetime = TimeSpan.FromSeconds(seconds)));

    [Theory]
    [InlineData("KeyRotation", "00:00:00", "1.00:00:00")]
    [InlineData("KeyRotation", "-1.00:00:00", "1.00:00:00")]
    [InlineData("KeyRotation", "1.00:00:00", "1.00:00:00")]
    [InlineData("KeyRotation", "1096.00:00:00", "1.00:00:00")]
    [InlineData("KeyPublishedAhead", "90.00:00:00", "00:09:59")]
    [InlineData("KeyPublishedAhead", "90.00:00:00", "00:00:00")]
    public void KeyTimes_OutOfBounds_AreRefused(string names, string rotation, string ahead) => Assert.Contains(names, Assert.Single(Faults(o =>
        (o.KeyRotation, o.KeyPublishedAhead) = (TimeSpan.Parse(rotation, CultureInfo.InvariantCulture), TimeSpan.Parse(ahead, CultureInfo.InvariantCulture)))), StringComparison.Ordinal);

    [Theory]
    [InlineData("00:10:01", "00:10:00")]
    [InlineData("1095.00:00:00", "1094.00:00:00")]
    public void KeyTimes_AtTheirBounds_AreTaken(string rotation, string ahead) => Assert.Empty(Faults(o =>
        (o.KeyRotation, o.KeyPublishedAhead) = (TimeSpan.Parse(rotation, CultureInfo.InvariantCulture), TimeSpan.Parse(ahead, CultureInfo.InvariantCulture))));

    [Fact]
    public void EveryFault_IsNamedAtOnce() =>
        Assert.Equal(4, Faults(o => (o.Issuer, o.SigningAlgorithm, o.CommitQueue, o.Node) = ("http://auth.example", "none", 0, "")).Count);

    private static List<string> Faults(Action<ServerOptions> change)
    {
        var options = new ServerOptions { Issuer = "https://auth.example", KeyEncryptionKey = Convert.ToBase64String(new byte[32]) };
        change(options);
        return [.. options.Faults()];
    }
}
