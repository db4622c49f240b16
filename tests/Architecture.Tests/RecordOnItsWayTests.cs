using System.Reflection;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using McpAuthServer.GuardFeed;
using McpGuard.Sdk.Audit;
using Microsoft.Extensions.Logging.Abstractions;

namespace Architecture.Tests;

/// <summary>What the guard's SDK writes is what the server walks over once: either could change alone, and the record would be read all the same, only slower.</summary>
public sealed class RecordOnItsWayTests
{
    // Each member that is written is in one of them. Answers of other decision points take the longer way: few guards ask any.
    private static readonly GuardEvent[] Events =
    [
        new()
        {
            Id = "dec_1", Time = 1796120431208, Type = AuditTypes.CallDecided, Outcome = "allow", Approval = "apr_1", ArgsDigest = "v1:x", Cause = "dec_0", Decision = "allow", Jti = "at_1", Node = "grd_1",
            Method = "tools/call", Policy = "allow", PolicyHash = "sha-256:x", PolicyIds = ["a", "b"], Reason = "r", Request = "v1.abc"u8.ToArray(), Resource = "https://files.example/mcp",
            Shadow = (12, "deny"), SpanId = "b7ad6b7169203331", Tool = "read", TraceId = "0af7651916cd43dd8448eb211c80319c",
        },
        new() { Id = "evt_2", Time = 2, Type = AuditTypes.CallFinished, Outcome = "success", Cause = "dec_1" },
        new() { Id = "evt_3", Time = 3, Type = AuditTypes.DownstreamUsed, Outcome = "success", Downstream = ("https://mail.example/mcp", "at_2") },
        new() { Id = "evt_4", Time = 4, Type = AuditTypes.CallRefused, Outcome = "refused", Reason = "invalid_token", Count = 40 },
    ];

    [Fact]
    public async Task Delivery_AsTheSpoolWritesIt_IsReadInOneWalk()
    {
        using var directory = new TempDirectory();
        using var spool = new Spool(TimeProvider.System, NullLogger<Spool>.Instance, 1 << 20);
        spool.Open(directory.Path, "grd_1");
        foreach (var happened in Events)
            Assert.True(await spool.Append(happened, Durability.Disk));
        using var reader = new SpoolReader(spool);

        var entries = PresentedEntries.Plain(reader.Read()!.Body);

        Assert.NotNull(entries);
        Assert.Equal(["dec_1", "evt_2", "evt_3", "evt_4"], entries.Select(e => e.Event.Id));
    }

    [Fact]
    public void Events_TellOfEveryMember()
    {
        var silent = typeof(GuardEvent).GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(p => !Events.Any(e => IsSet(p.GetValue(e)))).Select(p => p.Name);
        Assert.Equal([nameof(GuardEvent.Points)], silent);
    }

    private static bool IsSet(object? value) => value switch { null or 0 => false, ReadOnlyMemory<byte> bytes => !bytes.IsEmpty, _ => true };
}
