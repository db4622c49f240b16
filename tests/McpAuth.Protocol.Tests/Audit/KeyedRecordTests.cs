using System.Security.Cryptography;
using System.Text;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;

namespace McpAuth.Protocol.Tests.Audit;

/// <summary>Digests and encrypted requests under several keys, in turns on one thread and on many at once: what is kept for one key serves no other.</summary>
public sealed class KeyedRecordTests
{
    private readonly (byte[] Secret, ArgsKey Key)[] keys = [.. Enumerable.Range(1, 4).Select(version =>
    {
        var secret = RandomNumberGenerator.GetBytes(32);
        return (secret, new ArgsKey(version, Base64Url.Encode(secret)));
    })];

    [Fact]
    public void Digest_IsTheHmacUnderItsKey()
    {
        ArgumentDigest[] digests = [.. keys.Select(k => new ArgumentDigest(k.Key))];
        Parallel.For(0, 2000, i =>
        {
            var arguments = Encoding.UTF8.GetBytes($$"""{"n":{{i}}}""");
            for (var k = 0; k < keys.Length; k++)
                Assert.Equal($"v{k + 1}:{Base64Url.Encode(HMACSHA256.HashData(keys[k].Secret, arguments))}", digests[k].Of(arguments));
        });
    }

    [Fact]
    public void Sealed_IsOpenedUnderItsKeyForItsDecision_AndNeverTwiceTheSame()
    {
        SealedRequest[] seals = [.. keys.Select(k => new SealedRequest(k.Key))];
        Parallel.For(0, 2000, i =>
        {
            var request = Encoding.UTF8.GetBytes(new string('x', i % 300) + i);
            for (var k = 0; k < keys.Length; k++)
            {
                var text = seals[k].Seal($"dec_{i}", request);
                Assert.StartsWith($"v{k + 1}.", text, StringComparison.Ordinal);
                Assert.Equal(request, seals[k].Open($"dec_{i}", text));
                Assert.Null(seals[k].Open($"dec_{i + 1}", text));
                Assert.Null(seals[(k + 1) % keys.Length].Open($"dec_{i}", text.Replace($"v{k + 1}.", $"v{(k + 1) % keys.Length + 1}.", StringComparison.Ordinal)));
                Assert.NotEqual(text, Encoding.ASCII.GetString(seals[k].SealToUtf8($"dec_{i}", request)));
            }
        });
        // A decision's id has no length that is too long for it.
        var name = new string('é', 500);
        Assert.Equal([1, 2, 3], seals[0].Open(name, seals[0].Seal(name, [1, 2, 3])));
    }
}
