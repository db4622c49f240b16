using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.GuardFeed;

namespace McpAuthServer.Tests.GuardFeed;

/// <summary>A delivery is read the short way or the long one, and is the same: what only one of them would read is read by neither.</summary>
public class PresentedEntriesTests
{
    private const string Prev = "-H5Amem-XnUJTgpPRtPcGKnDdCkxSlokkPt40x5-Fww";

    // The guard's own events: a decision with all there can be, an ending, a token used elsewhere, and refusals counted.
    private static readonly string[] Events =
    [
        """
        {"approval":"apr_1","args_digest":"v1:x","data":{"method":"tools/list","policy":"allow","request":"v1.abc","shadow":{"decision":"deny","version":12}},"decision":"allow","id":"dec_1","jti":"at_1","node":"grd_1","outcome":"allow","policy_hash":"sha-256:x","policy_ids":["a","b é"],"reason":"r","resource":"https://files.example/mcp","span_id":"s","time":1796120431208,"tool":"read","trace_id":"t","type":"call.decided"}
        """,
        """{"cause":"dec_1","id":"evt_1","outcome":"success","time":0,"type":"call.finished"}""",
        """{"data":{"jti":"at_2","to":"https://mail.example/mcp"},"id":"evt_2","outcome":"success","policy_ids":[],"time":5,"type":"downstream.used"}""",
        """{"data":{"count":40},"id":"evt_3","outcome":"refused","reason":"invalid_token","time":123456789012345,"type":"call.refused"}""",
    ];

    private static string Body(long first, params string[] events) =>
        "{\"entries\":[" + string.Join(",", events.Select((e, i) => $"{{\"event\":{e.Trim()},\"prev\":\"{Prev}\",\"seq\":{first + i}}}")) + "]}";

    private static string Shown(List<PresentedEntry> entries) =>
        string.Join("\n", entries.Select(e => $"{e.Seq} {e.Prev} {e.Hash} {JsonSerializer.Serialize(e.Event, ProtocolJson.Default.AuditEvent)}"));

    /// <summary>White space is no canonical form, so this takes the long way.</summary>
    private static Result<List<PresentedEntry>> ReadTheLongWay(byte[] body) => PresentedEntries.Read([(byte)' ', .. body]);

    [Fact]
    public void Read_WhatAGuardWrites_IsTheSameByBothWays()
    {
        var body = Encoding.UTF8.GetBytes(Body(7, Events));
        var plain = PresentedEntries.Plain(body);
        Assert.NotNull(plain);
        Assert.Null(PresentedEntries.Plain([(byte)' ', .. body]));
        Assert.Equal(Shown(ReadTheLongWay(body).Value), Shown(plain));
        Assert.Equal([7, 8, 9, 10], plain.Select(e => e.Seq));
        Assert.True(Base64Url.TryDecode(Prev, out var above));
        Assert.Equal(Base64Url.Encode(SHA256.HashData([.. above, .. Encoding.UTF8.GetBytes(Events[1])])), plain[1].Hash);
        Assert.Equal(["a", "b é"], plain[0].Event.PolicyIds);
        Assert.Equal(12, (long)plain[0].Event.Data!["shadow"]!["version"]!);
    }

    [Fact]
    public void Read_BodyWithAByteChanged_IsNeverReadTheShortWayAlone()
    {
        var random = new Random(20261201);
        var original = Encoding.UTF8.GetBytes(Body(7, Events));
        var (taken, left) = (0, 0);
        for (var round = 0; round < 40_000; round++)
        {
            var body = Changed(original, random);
            if (PresentedEntries.Plain(body) is not { } plain)
            {
                left++;
                continue;
            }
            taken++;
            var parsed = ReadTheLongWay(body);
            Assert.True(parsed.Ok, Encoding.UTF8.GetString(body));
            Assert.Equal(Shown(parsed.Value), Shown(plain));
        }
        // Both happen, or this would say nothing.
        Assert.True(taken > 4000 && left > 4000, $"{taken} taken, {left} left");
    }

    private static byte[] Changed(byte[] original, Random random)
    {
        var body = original.ToList();
        for (var changes = random.Next(1, 4); changes > 0; changes--)
        {
            var (at, other) = (random.Next(body.Count), "{}[]\",:\\ 0159-+.eEaz_\u007f\n\0\u00e9"u8[random.Next(24)]);
            switch (random.Next(4))
            {
                case 0: body[at] = other; break;
                case 1: body.Insert(at, other); break;
                case 2: body.RemoveAt(at); break;
                // A piece repeated or moved: members twice, or out of order.
                default:
                    var piece = body.GetRange(at, Math.Min(random.Next(1, 40), body.Count - at));
                    body.InsertRange(random.Next(body.Count), piece);
                    break;
            }
        }
        return [.. body];
    }

    [Theory]
    [InlineData("""{"id":"evt_1","id":"evt_2","outcome":"o","time":1,"type":"t"}""", "duplicate_member")]
    [InlineData("""{"data":{"Policy":"allow","policy":"deny"},"id":"evt_1","outcome":"o","time":1,"type":"t"}""", "duplicate_member")]
    [InlineData("""{"data":{"policy":"allow","policy":"deny"},"id":"evt_1","outcome":"o","time":1,"type":"t"}""", "duplicate_member")]
    [InlineData("""{"id":"evt_1","outcome":"o","time":9007199254740993,"type":"t"}""", "inexact_number")]
    [InlineData("""{"id":"evt_1","outcome":"o","time":01,"type":"t"}""", "invalid_json")]
    [InlineData("""{"id":"evt_1","outcome":"\ud800","time":1,"type":"t"}""", "invalid_utf8")]
    [InlineData("{\"id\":\"evt_1\",\"outcome\":\"a\tb\",\"time\":1,\"type\":\"t\"}", "invalid_json")]
    [InlineData("""{"id":"evt_1","outcome":"o","time":1,"type":"t",}""", "invalid_json")]
    [InlineData("""{"outcome":"o","time":1,"type":"t"}""", "invalid_entries")]
    [InlineData("""{"id":"evt_1","outcome":"o","type":"t"}""", "invalid_entries")]
    [InlineData("""{"id":null,"outcome":"o","time":"1","type":"t"}""", "invalid_entries")]
    [InlineData("[]", "invalid_entries")]
    public void Read_EventThatIsNot_IsRefusedWithItsReason(string e, string code) =>
        Assert.Equal(code, PresentedEntries.Read(Encoding.UTF8.GetBytes(Body(1, e))).Fault?.Code);

    [Theory]
    [InlineData("""{"entries":[]}""")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("""{"entries":{}}""")]
    public void Read_NoEntries_AreRefused(string body) => Assert.Equal("invalid_entries", PresentedEntries.Read(Encoding.UTF8.GetBytes(body)).Fault?.Code);

    [Fact]
    public void Read_PlacesThatDoNotFollow_AreRefused()
    {
        foreach (var body in (string[])[Body(0, Events), Body(1, Events).Replace("\"seq\":3}", "\"seq\":4}", StringComparison.Ordinal), Body(1, Events).Replace("\"seq\":2}", "\"seq\":1}", StringComparison.Ordinal)])
        {
            Assert.Equal("invalid_entries", PresentedEntries.Read(Encoding.UTF8.GetBytes(body)).Fault?.Code);
            Assert.Equal("invalid_entries", ReadTheLongWay(Encoding.UTF8.GetBytes(body)).Fault?.Code);
        }
    }

    [Fact]
    public void Read_BytesThatAreNoText_AreRefused()
    {
        var body = Encoding.UTF8.GetBytes(Body(1, Events));
        body[Array.IndexOf(body, (byte)0xC3)] = 0xFF;
        Assert.Equal("invalid_utf8", PresentedEntries.Read(body).Fault?.Code);
        Assert.Equal("invalid_json", PresentedEntries.Read([0xEF, 0xBB, 0xBF, .. Encoding.UTF8.GetBytes(Body(1, Events))]).Fault?.Code);
    }

    [Fact]
    public void Read_DataAsDeepAsTheBodyAllows_IsRefusedAndEndsNoProcess()
    {
        var deep = string.Concat(Enumerable.Repeat("{\"a\":", 200_000)) + "1" + new string('}', 200_000);
        Assert.Equal("too_deep", PresentedEntries.Read(Encoding.UTF8.GetBytes(Body(1, $$"""{"data":{{deep}},"id":"evt_1","outcome":"o","time":1,"type":"t"}"""))).Fault?.Code);
    }
}
