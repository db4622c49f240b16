using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using McpAuthServer.Storage;

namespace McpAuthServer.Tests.Storage;

public class AuditBodyTests
{
    private const string Hard = "\u0000\b\t\n\f\r\u001f \"\\/<>&'é✓\U0001f600\u2028";

    [Fact]
    [Trait("Spec", "RFC8785-3.2")]
    public void Body_EveryMemberSet_IsTheCanonicalFormWithoutSeq()
    {
        var e = new AuditEvent
        {
            Seq = 7, Id = "evt_1", Time = 1_700_000_000_000, Type = "token.issued", Outcome = Hard, User = "u" + Hard, Agent = "a", Instance = "i", Client = "c",
            Chain = ["one", Hard], Task = "t", ParentTask = "p", Grant = "g", Jti = "j", Resource = "https://files.example/mcp", Tool = "tool", ArgsDigest = "v1:x",
            Decision = "d", Reason = "r", PolicyHash = "h", PolicyIds = [], Approval = "ap", TraceId = "tr", SpanId = "sp", Cause = "ca", Node = "n",
            Data = new JsonObject { ["zeta"] = 1.50, ["alpha"] = new JsonArray(true, null, Hard), ["Beta"] = new JsonObject { ["b"] = 1, ["a"] = 2 } },
        };
        // A member added to the record must be added to the body: none may be unset here.
        Assert.All(typeof(AuditEvent).GetProperties(), p => Assert.True(p.GetValue(e) is not null, $"{p.Name} is not set"));
        Assert.Equal(Canonical(e), Body(e));
    }

    [Fact]
    public void Body_OnlyWhatIsRequired_HasNothingElse() =>
        Assert.Equal("""{"id":"evt_1","outcome":"ok","time":-5,"type":"t"}""", Body(new AuditEvent { Id = "evt_1", Time = -5, Type = "t", Outcome = "ok" }));

    [Fact]
    public void Body_LoneSurrogate_IsRecordedAsTheReplacementCharacter() =>
        Assert.Equal("""{"id":"evt_1","outcome":"a\ufffdb","time":0,"type":"t"}""".Replace("\\ufffd", "\ufffd", StringComparison.Ordinal),
            Body(new AuditEvent { Id = "evt_1", Time = 0, Type = "t", Outcome = "a\ud800b" }));

    private static string Body(AuditEvent e)
    {
        var output = new ArrayBufferWriter<byte>();
        AuditBody.Write(e, output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    private static string Canonical(AuditEvent e) =>
        Encoding.UTF8.GetString(CanonicalJson.ToBytes(JsonSerializer.SerializeToElement(e with { Seq = null }, ProtocolJson.Default.AuditEvent)));
}
