using System.Globalization;

namespace McpAuth.Protocol.Tests;

/// <summary>Identifiers are UUIDv7 (RFC 9562 §5.7), of random bytes that no two of them share.</summary>
public sealed class IdTests
{
    [Theory]
    [InlineData("1970-01-01T00:00:00Z"), InlineData("2026-11-30T12:34:56.789Z"), InlineData("2100-01-01T00:00:00Z")]
    public void New_IsAUuidOfVersion7_WithItsTimeInFront(string time)
    {
        var now = DateTimeOffset.Parse(time, CultureInfo.InvariantCulture);
        var id = Id.New(Id.Task, now);
        Assert.StartsWith(Id.Task, id, StringComparison.Ordinal);
        Assert.Equal(id, id.ToLowerInvariant());
        var uuid = Guid.ParseExact(id[Id.Task.Length..], "N");
        Assert.Equal(7, uuid.Version);
        Assert.InRange(uuid.Variant, 8, 11);
        Assert.Equal(now.ToUnixTimeMilliseconds(), long.Parse(id.AsSpan(Id.Task.Length, 12), NumberStyles.HexNumber, CultureInfo.InvariantCulture));
    }

    [Fact]
    public void New_AtTheSameTimeOnManyThreads_IsNeverTheSame()
    {
        const int Each = 20_000;
        var now = DateTimeOffset.UnixEpoch;
        var ids = new string[8][];
        Thread[] threads = [.. Enumerable.Range(0, ids.Length).Select(t => new Thread(() => ids[t] = [.. Enumerable.Range(0, Each).Select(_ => Id.New("", now))]))];
        foreach (var thread in threads)
            thread.Start();
        foreach (var thread in threads)
            thread.Join();
        Assert.Equal(ids.Length * Each, ids.SelectMany(i => i).Distinct().Count());
        // Every random bit is sometimes set and sometimes not.
        var (all, any) = (UInt128.MaxValue, UInt128.Zero);
        foreach (var id in ids[0])
        {
            var bits = UInt128.Parse(id, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            (all, any) = (all & bits, any | bits);
        }
        var random = UInt128.Parse("00000000000" + "00fff3fffffffffffffff", NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        Assert.Equal((UInt128.Zero, random), (all & random, any & random));
    }
}
