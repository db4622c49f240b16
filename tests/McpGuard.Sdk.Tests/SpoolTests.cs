using System.Reflection;
using System.Text;
using System.Text.Json;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpGuard.Sdk.Audit;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;

namespace McpGuard.Sdk.Tests;

/// <summary>The guard's own record: what it holds survives, and what cannot be recorded does not run.</summary>
public sealed class SpoolTests : IDisposable
{
    private readonly TempDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public async Task Entries_AreTheCanonicalEventsChainedAsDocumented()
    {
        using Spool spool = Open();
        for (int i = 0; i < 3; i++) Assert.True(await spool.Append(Happened($"dec_{i}"), Durability.Written));
        string[] lines = Lines();
        byte[] hash = System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes("grd_1"));
        for (int i = 0; i < 3; i++)
        {
            SpoolEntry entry = JsonSerializer.Deserialize(lines[i], ProtocolJson.Default.SpoolEntry)!;
            Assert.Equal((i + 1, McpAuth.Protocol.Jose.Base64Url.Encode(hash)), (entry.Seq, entry.Prev));
            byte[] canonical = CanonicalJson.ToBytes(JsonSerializer.SerializeToElement(entry.Event, ProtocolJson.Default.AuditEvent));
            Assert.StartsWith("{\"event\":" + Encoding.UTF8.GetString(canonical) + ",\"prev\":", lines[i], StringComparison.Ordinal);
            hash = System.Security.Cryptography.SHA256.HashData([.. hash, .. canonical]);
        }
    }

    [Fact]
    [Trait("Invariant", "4")]
    public void Segment_WhoseHeaderCannotBeWritten_IsNotLeftBehindBetweenGoodOnes()
    {
        // Linux's device that is always full.
        if (!OperatingSystem.IsLinux()) return;
        SpoolSegment segment = SpoolSegment.At(directory.Path, SpoolHead.Genesis("grd_1"));
        File.CreateSymbolicLink(segment.Path, "/dev/full");
        Assert.Throws<IOException>(() => segment.Create("grd_1", out _));
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("quo\"te \\ and / slash")]
    [InlineData("line\nfeed\tand\u0001 control\u007f")]
    [InlineData("ünïcode \u2028 𝄞 \uffff")]
    public void Event_WrittenDirectly_IsExactlyItsCanonicalForm(string text)
    {
        var happened = new GuardEvent
        {
            Id = "dec_1", Time = 1795345200123, Type = AuditTypes.CallDecided, Outcome = "deny", ArgsDigest = "v1:x", Cause = "c", Count = 7, Method = text, Decision = "deny",
            Jti = "at_1", Node = "grd_1", PolicyHash = text, PolicyIds = [text, "b"], Reason = text, Resource = "https://files.example/mcp", SpanId = "s", Tool = "t", TraceId = "tr",
        };
        var output = new System.Buffers.ArrayBufferWriter<byte>();
        happened.WriteCanonical(output);
        AuditEvent read = JsonSerializer.Deserialize(output.WrittenSpan, ProtocolJson.Default.AuditEvent)!;
        Assert.Equal(text, read.Reason);
        Assert.Equal(7, (int)read.Data!["count"]!);
        Assert.Equal(Encoding.UTF8.GetString(CanonicalJson.ToBytes(JsonSerializer.SerializeToElement(read, ProtocolJson.Default.AuditEvent))), Encoding.UTF8.GetString(output.WrittenSpan));
    }

    [Fact]
    [Trait("Attack", "170")]
    public async Task Append_Answered_IsInTheFileThoughTheProcessNeverCloses()
    {
        using Spool spool = Open();
        Assert.True(await spool.Append(Happened("dec_kept"), Durability.Written));
        Assert.Contains("dec_kept", Lines().Single(), StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Attack", "170")]
    public async Task Reopened_AfterATornWrite_CutsTheTailAndGoesOnWithTheChain()
    {
        using (Spool first = Open())
        {
            await first.Append(Happened("dec_1"), Durability.Disk);
            await first.Append(Happened("dec_2"), Durability.Written);
        }
        string file = Directory.GetFiles(directory.Path).Single();
        string torn = await File.ReadAllTextAsync(file);
        await File.WriteAllTextAsync(file, torn + "{\"event\":{\"id\":\"dec_3\",\"ti");
        using Spool again = Open();
        Assert.Equal(2, again.LastWritten);
        Assert.True(await again.Append(Happened("dec_4"), Durability.Written));
        Assert.Equal(["dec_1", "dec_2", "dec_4"], Read(again).Select(e => e.Event.Id));
        Assert.Equal([1L, 2, 3], Read(again).Select(e => e.Seq));
    }

    [Fact]
    [Trait("Attack", "159")]
    public async Task Reopened_WithAnEntryChanged_RefusesInsteadOfForgetting()
    {
        using (Spool first = Open())
        {
            for (int i = 0; i < 3; i++) await first.Append(Happened($"dec_{i}"), Durability.Disk);
        }
        string file = Directory.GetFiles(directory.Path).Single();
        await File.WriteAllTextAsync(file, (await File.ReadAllTextAsync(file)).Replace("dec_1", "dec_X", StringComparison.Ordinal));
        using var damaged = new Spool(TimeProvider.System, NullLogger<Spool>.Instance, 1 << 30);
        Assert.Throws<InvalidDataException>(() => damaged.Open(directory.Path, "grd_1"));
    }

    /// <summary>What policies read of one call may be larger than all that is otherwise read at once.</summary>
    [Fact]
    public async Task Entry_OfAnyLength_IsReadAndWhatFollowsIt()
    {
        using Spool spool = Open();
        using var reader = new SpoolReader(spool);
        string[] requests = ["small", new('a', 3 << 20), "small again", new('b', 1 << 20), new('c', 1 << 20), "at last"];
        foreach (string request in requests) Assert.True(await spool.Append(Happened("dec", request), Durability.Disk));
        List<string> read = [];
        while (Next(reader) is { Count: > 0 } entries)
        {
            string[] batch = [.. entries.Select(e => (string)e.Event.Data!["request"]!)];
            Assert.True(batch.Length == 1 || batch.Sum(r => r.Length) < 512 * 1024);
            read.AddRange(batch);
        }
        Assert.Equal(requests.Select(r => (r[0], r.Length)), read.Select(r => (r[0], r.Length)));
        // And where it begins in the middle.
        using var later = new SpoolReader(spool);
        later.GoTo(3);
        Assert.Equal([3, 4], Next(later).Concat(Next(later)).Select(e => e.Seq));
    }

    [Fact]
    public async Task Disposed_WhileSegmentsAreFlushed_ThrowsNothing()
    {
        for (int i = 0; i < 100; i++)
        {
            using var at = new TempDirectory();
            var spool = new Spool(TimeProvider.System, NullLogger<Spool>.Instance, 1 << 30, segmentLimit: 1);
            spool.Open(at.Path, "grd_1");
            for (int n = 0; n < 8; n++) Assert.True(await spool.Append(Happened("dec"), Durability.Written));
            // A little later each time: the flushes are at every place in turn.
            Thread.SpinWait(i * 400);
            spool.Dispose();
        }
    }

    [Theory]
    [InlineData(100_000), InlineData(16 << 20)]
    public async Task Full_OfWhatTheServerHas_IsNotFull(long limit)
    {
        using var spool = new Spool(TimeProvider.System, NullLogger<Spool>.Instance, limit);
        spool.Open(directory.Path, "grd_1");
        string request = new('x', (int)limit / 50);
        for (int i = 0; i < 3; i++)
        {
            int taken = 0;
            for (; taken < 1000 && await spool.Append(Happened("dec", request), Durability.Written); taken++)
            {
            }
            Assert.InRange(taken, 20, 60);
            spool.Trim(spool.LastWritten);
            Assert.True(spool.Healthy);
        }
    }

    /// <summary>What is delivered after it could be lost in a power cut, and its places given to other events, which the server would take for the same.</summary>
    [Fact]
    [Trait("Invariant", "4")]
    public async Task AfterAFailedFlush_NothingMoreCountsAsDurable()
    {
        using Spool spool = Open();
        Assert.True(await spool.Append(Happened("dec_1"), Durability.Written));
        FieldInfo file = typeof(Spool).GetField("file", BindingFlags.NonPublic | BindingFlags.Instance)!;
        object good = file.GetValue(spool)!;
        SafeFileHandle bad = File.OpenHandle(Directory.GetFiles(directory.Path).Single(), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        bad.Dispose(); // so that its flush fails
        file.SetValue(spool, bad);
        Assert.False(await spool.Sync());
        file.SetValue(spool, good);
        Assert.False(await spool.Sync());
        Assert.Equal(0, spool.LastDurable);
    }

    [Fact]
    [Trait("Attack", "170")]
    public async Task Reopened_AfterASegmentsHeaderWasTornBeforeItsLineFeed_GoesOn()
    {
        using (Spool first = Open())
        {
            for (int i = 1; i <= 2; i++) Assert.True(await first.Append(Happened($"dec_{i}"), Durability.Disk));
        }
        SpoolSegment next = SpoolSegment.At(directory.Path, SpoolSegment.List(directory.Path, "grd_1").Single().Follow().Head);
        using (SafeFileHandle torn = next.Create("grd_1", out long length)) RandomAccess.SetLength(torn, length - 1);
        using (Spool second = Open()) Assert.True(await second.Append(Happened("dec_3"), Durability.Disk));
        using Spool third = Open();
        Assert.Equal(3, third.LastWritten);
    }

    /// <summary>Who is told that it was not recorded denies a call that is allowed on record.</summary>
    [Fact]
    [Trait("Invariant", "4")]
    public async Task Append_WhenTheNextSegmentCannotBegin_IsRecordedAllTheSame()
    {
        using Spool spool = Open(segment: 1);
        Directory.CreateDirectory(SpoolSegment.At(directory.Path, new SpoolHead(1, [])).Path);
        bool recorded = await spool.Append(Happened("dec_1"), Durability.Disk);
        Assert.Equal(1, spool.LastWritten);
        Assert.True(recorded);
        Assert.False(spool.Healthy);
    }

    [Fact]
    public void Reopened_ByAnotherGuard_Refuses()
    {
        Open().Dispose();
        using var other = new Spool(TimeProvider.System, NullLogger<Spool>.Instance, 1 << 30);
        Assert.Throws<InvalidDataException>(() => other.Open(directory.Path, "grd_2"));
    }

    [Fact]
    public async Task Segments_RollAndAreTrimmedWhenAcknowledged_AndSequenceNumbersNeverReturn()
    {
        using (Spool spool = Open(segment: 2000))
        {
            for (int i = 0; i < 50; i++) Assert.True(await spool.Append(Happened($"dec_{i}"), i % 2 == 0 ? Durability.Disk : Durability.Written));
            Assert.True(await spool.Sync());
            Assert.True(spool.Segments().Length > 3);
            Assert.Equal(Enumerable.Range(0, 50).Select(i => $"dec_{i}"), Read(spool).Select(e => e.Event.Id));
            spool.Trim(50);
            Assert.Single(spool.Segments());
        }
        using Spool again = Open(segment: 2000);
        Assert.Equal(50, again.LastWritten);
        await again.Append(Happened("dec_50"), Durability.Disk);
        Assert.Equal(51, Read(again)[^1].Seq);
    }

    /// <summary>Were the only segment that is on the disk deleted, a power cut would leave none, and the numbers would begin again.</summary>
    [Fact]
    [Trait("Invariant", "4")]
    public async Task Trim_LeavesASegmentUntilSomethingOfTheNextIsOnTheDisk()
    {
        using Spool spool = Open(segment: 1); // each entry fills one
        Assert.True(await spool.Append(Happened("dec_1"), Durability.Disk));
        spool.Trim(1);
        Assert.Equal([1, 2], spool.Segments().Select(s => s.First));
        Assert.True(await spool.Append(Happened("dec_2"), Durability.Disk));
        spool.Trim(2);
        Assert.Equal([2, 3], spool.Segments().Select(s => s.First));
    }

    [Fact]
    public async Task Append_ByManyAtOnce_KeepsOneUnbrokenChain()
    {
        using Spool spool = Open(segment: 100_000);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            for (int i = 0; i < 500; i++)
            {
                if (i % 3 == 0) spool.Enqueue(Happened($"{worker}-{i}"));
                else Assert.True(await spool.Append(Happened($"{worker}-{i}"), i % 50 == 1 ? Durability.Disk : Durability.Written));
            }
        })));
        Assert.True(await spool.Append(Happened("last"), Durability.Disk));
        while (spool.LastWritten < 4001) await Task.Delay(10);
        Assert.True(await spool.Sync());
        IReadOnlyList<SpoolEntry> all = Read(spool);
        Assert.Equal(Enumerable.Range(1, 4001).Select(i => (long)i), all.Select(e => e.Seq));
        Assert.Equal(4001, all.Select(e => e.Event.Id).Distinct().Count());
        spool.Dispose();
        using Spool again = Open();
        Assert.Equal(4001, again.LastWritten);
    }

    /// <summary>What nobody waits for is written a moment later, by a timer: an end in that very moment loses nothing and throws nothing.</summary>
    [Fact]
    public void Dispose_AtTheMomentAtWhichWhatLingersIsWritten_LosesNothing()
    {
        for (int i = 0; i < 100; i++)
        {
            using var state = new TempDirectory();
            using (var spool = new Spool(TimeProvider.System, NullLogger<Spool>.Instance, 1 << 30))
            {
                spool.Open(state.Path, "grd_1");
                spool.Enqueue(Happened("dec_1"));
                Thread.Sleep(TimeSpan.FromMilliseconds(i % 8));
                spool.Enqueue(Happened("dec_2"));
            }
            using var again = new Spool(TimeProvider.System, NullLogger<Spool>.Instance, 1 << 30);
            again.Open(state.Path, "grd_1");
            Assert.Equal(2, again.LastWritten);
        }
    }

    [Fact]
    [Trait("Invariant", "4")]
    public async Task Append_BeyondTheLimit_IsRefused()
    {
        using var spool = new Spool(TimeProvider.System, NullLogger<Spool>.Instance, limit: 1000);
        spool.Open(directory.Path, "grd_1");
        int taken = 0;
        while (taken < 100 && await spool.Append(Happened("dec"), Durability.Written)) taken++;
        Assert.InRange(taken, 1, 20);
        Assert.False(spool.Healthy);
    }

    [Fact]
    [Trait("Invariant", "4")]
    public async Task Append_BeforeItIsOpen_IsRefused()
    {
        using var spool = new Spool(TimeProvider.System, NullLogger<Spool>.Instance, limit: 1000);
        Assert.False(await spool.Append(Happened("dec"), Durability.Written));
        Assert.False(spool.Healthy);
    }

    private Spool Open(long segment = 1 << 20)
    {
        var spool = new Spool(TimeProvider.System, NullLogger<Spool>.Instance, 1 << 30, segment);
        spool.Open(directory.Path, "grd_1");
        return spool;
    }

    private static List<SpoolEntry> Read(Spool spool)
    {
        Assert.True(spool.Sync().Wait(TimeSpan.FromSeconds(10)));
        using var reader = new SpoolReader(spool);
        var all = new List<SpoolEntry>();
        while (Next(reader) is { Count: > 0 } some) all.AddRange(some);
        return all;
    }

    /// <summary>As the server reads them.</summary>
    private static IReadOnlyList<SpoolEntry> Next(SpoolReader reader)
    {
        if (reader.Read() is not var (first, last, body)) return [];
        IReadOnlyList<SpoolEntry> entries = JsonSerializer.Deserialize(body, ProtocolJson.Default.GuardAuditRequest)!.Entries;
        Assert.Equal((first, last), (entries[0].Seq, entries[^1].Seq));
        return entries;
    }

    private string[] Lines()
    {
        using var stream = new FileStream(Directory.GetFiles(directory.Path).Single(), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)[1..];
    }

    private static GuardEvent Happened(string id, string? request = null) => new()
    {
        Id = id, Time = 1795345200000, Type = AuditTypes.CallDecided, Outcome = "allow", Decision = "allow", Jti = "at_9", Tool = "echo", ArgsDigest = "v1:abc", Node = "grd_1",
        Policy = request is null ? null : "allow", Request = Encoding.ASCII.GetBytes(request ?? ""),
    };
}
