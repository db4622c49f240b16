using System.Security.Cryptography;
using McpAuthServer.Keys;

namespace McpAuthServer.Tests.Keys;

public sealed class KeyEncryptionTests : IDisposable
{
    private static readonly byte[] Key = RandomNumberGenerator.GetBytes(KeyEncryption.KeySize);

    private readonly KeyEncryption keys = new(Key);

    public void Dispose() => keys.Dispose();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(32)]
    [InlineData(4000)]
    public void KeyEncryption_WrappedSecret_UnwrapsForTheSamePurposeUnderTheSameKey(int length)
    {
        var secret = RandomNumberGenerator.GetBytes(length);
        using var later = new KeyEncryption(Key);

        Assert.Equal(secret, later.Unwrap(keys.Wrap(secret, "args_key:srv_1"), "args_key:srv_1"));
    }

    [Fact]
    public void KeyEncryption_SameSecretTwice_IsWrappedDifferentlyAndNeverInTheClear()
    {
        var secret = RandomNumberGenerator.GetBytes(32);
        var (first, second) = (keys.Wrap(secret, "p"), keys.Wrap(secret, "p"));

        Assert.NotEqual(first, second);
        Assert.Equal(-1, first.AsSpan().IndexOf(secret.AsSpan(0, 8)));
        Assert.Equal(1, first[0]);
    }

    [Fact]
    public void KeyEncryption_AnyBitFlipped_IsRefused()
    {
        var wrapped = keys.Wrap(RandomNumberGenerator.GetBytes(16), "p");
        for (var bit = 0; bit < wrapped.Length * 8; bit++)
        {
            var altered = (byte[])wrapped.Clone();
            altered[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.ThrowsAny<CryptographicException>(() => keys.Unwrap(altered, "p"));
        }
    }

    [Fact]
    public void KeyEncryption_CutOrExtended_IsRefused()
    {
        var wrapped = keys.Wrap(RandomNumberGenerator.GetBytes(16), "p");
        for (var length = 0; length < wrapped.Length; length++)
            Assert.ThrowsAny<CryptographicException>(() => keys.Unwrap(wrapped.AsSpan(0, length), "p"));
        Assert.ThrowsAny<CryptographicException>(() => keys.Unwrap([.. wrapped, 0], "p"));
    }

    [Theory]
    [InlineData("args_key:srv_2")]
    [InlineData("args_key:srv_")]
    [InlineData("signing_key:srv_1")]
    [InlineData("")]
    public void KeyEncryption_AnotherPurpose_IsRefused(string purpose)
    {
        var wrapped = keys.Wrap("secret"u8, "args_key:srv_1");

        Assert.ThrowsAny<CryptographicException>(() => keys.Unwrap(wrapped, purpose));
    }

    [Fact]
    public void KeyEncryption_AnotherKey_IsRefused()
    {
        using var other = new KeyEncryption(RandomNumberGenerator.GetBytes(KeyEncryption.KeySize));

        Assert.ThrowsAny<CryptographicException>(() => other.Unwrap(keys.Wrap("secret"u8, "p"), "p"));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(16)]
    [InlineData(31)]
    [InlineData(33)]
    public void KeyEncryption_KeyOfAnotherLength_IsRefused(int length) =>
        Assert.Throws<ArgumentException>(() => new KeyEncryption(new byte[length]));

    [Fact]
    public void KeyEncryption_AfterDispose_WrapsNothing()
    {
        var gone = new KeyEncryption(Key);
        gone.Dispose();

        Assert.Throws<ObjectDisposedException>(() => gone.Wrap("secret"u8, "p"));
        Assert.Throws<ObjectDisposedException>(() => gone.Unwrap(new byte[40], "p"));
    }
}
