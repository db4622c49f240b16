using McpAuth.Protocol.Jose;
using McpAuth.Testing;

namespace McpAuth.Protocol.Tests.Jose;

public sealed class ProofNoncesTests
{
    private static readonly byte[] Key = [.. Enumerable.Range(1, 32).Select(i => (byte)i)];
    private readonly ManualTime time = new(new DateTimeOffset(2026, 11, 22, 12, 0, 0, TimeSpan.Zero));

    [Fact]
    [Trait("Spec", "RFC9449-8.2")]
    public void Accepts_InTheWindowItWasMadeInAndTheNext()
    {
        var nonces = new ProofNonces(Key, time);
        var nonce = nonces.Current;
        Assert.Equal(nonce, nonces.Current);

        time.Advance(TimeSpan.FromSeconds(119));
        Assert.True(nonces.Accepts(nonce));
        Assert.NotEqual(nonce, nonces.Current);
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.False(nonces.Accepts(nonce));
    }

    [Fact]
    public void Accepts_WhatHoldersOfTheKeyMade_AlsoWithAClockThatIsAhead()
    {
        var ahead = new ManualTime(time.GetUtcNow().AddSeconds(60));
        Assert.True(new ProofNonces(Key, time).Accepts(new ProofNonces(Key, ahead).Current));
        ahead.Advance(TimeSpan.FromSeconds(60));
        Assert.False(new ProofNonces(Key, time).Accepts(new ProofNonces(Key, ahead).Current));

        Assert.False(new ProofNonces(Key, time).Accepts(new ProofNonces([.. Key.Reverse()], time).Current));
    }

    [Theory]
    [InlineData("")]
    [InlineData("x")]
    [InlineData("é")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAA")]
    public void Accepts_NothingElse(string nonce) => Assert.False(new ProofNonces(Key, time).Accepts(nonce));

    [Fact]
    public void Current_IsShortAndOfTheAllowedCharacters() =>
        // RFC 9449 §8.1: NQCHAR.
        Assert.Matches("^[A-Za-z0-9_-]{22}$", new ProofNonces(Key, time).Current);

    [Fact]
    public void Key_TooShort_IsRefused() => Assert.Throws<ArgumentException>(() => new ProofNonces(new byte[16], time));
}
