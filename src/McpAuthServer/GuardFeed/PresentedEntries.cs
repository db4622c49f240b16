using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;
using McpAuthServer.Http;

namespace McpAuthServer.GuardFeed;

/// <param name="Hash">Where the guard's chain stands after it, when it stood at <paramref name="Prev"/> before.</param>
internal sealed record PresentedEntry(long Seq, string Prev, string Hash, AuditEvent Event);

/// <summary>
/// Reads <c>{"entries":[{"event","prev","seq"}…]}</c>. As the guard's SDK writes it, which is canonical, it is walked over once: thousands of these come in a second.
/// Whatever else is JSON takes the longer way, through the strict parse, to the same entries.
/// </summary>
internal static class PresentedEntries
{
    private static readonly Fault Form = new("invalid_entries", "The body must be {\"entries\":[{\"seq\",\"prev\",\"event\"}…]} with consecutive seq.");

    /// <returns>One at least; or the strict parse's fault, or <c>invalid_entries</c>.</returns>
    public static Result<List<PresentedEntry>> Read(ReadOnlySpan<byte> body)
    {
        if (Plain(body) is { } entries)
            return entries;
        if (StrictJson.Check(body, new JsonLimits(Limits.GuardBody)) is { } fault)
            return fault;
        try
        {
            return Parsed(body) is { Count: > 0 } parsed && parsed[0].Seq > 0 ? parsed : Form;
        }
        catch (Exception e) when (e is KeyNotFoundException or InvalidOperationException or FormatException or JsonException)
        {
            return Form;
        }
    }

    /// <returns>Null where the text is not as the SDK writes it, or the entries are not as they must be.</returns>
    internal static List<PresentedEntry>? Plain(ReadOnlySpan<byte> body)
    {
        var text = new PlainText(body);
        if (!Utf8.IsValid(body) || !text.Is("{\"entries\":["u8))
            return null;
        var (entries, chain) = (new List<PresentedEntry>(), new ChainHash());
        do
        {
            if (!text.Is("{\"event\":"u8))
                return null;
            var from = text.Rest;
            if (Event(ref text) is not { } e)
                return null;
            var canonical = from[..^text.Rest.Length];
            if (!text.Is(",\"prev\":"u8) || !text.Text(out var prev) || !text.Is(",\"seq\":"u8) || !text.Number(out var seq) || !text.Is("}"u8))
                return null;
            if (seq == 0 || (entries is [.., var last] && seq != last.Seq + 1))
                return null;
            entries.Add(new PresentedEntry(seq, prev!, chain.After(prev!, canonical), e));
        }
        while (text.Is(","u8));
        return text.Is("]}"u8) && text.Rest.IsEmpty ? entries : null;
    }

    /// <summary>The members that a guard writes, in the order of the scheme (RFC 8785 §3.2.3).</summary>
    private static AuditEvent? Event(ref PlainText text)
    {
        text.Enter();
        if (text.Optional("\"approval\":"u8, out string? approval) && text.Optional("\"args_digest\":"u8, out string? digest) && text.Optional("\"cause\":"u8, out string? cause)
            && text.Optional("\"data\":"u8, out JsonObject? data) && text.Optional("\"decision\":"u8, out string? decision) && text.Optional("\"id\":"u8, out string? id)
            && text.Optional("\"jti\":"u8, out string? jti) && text.Optional("\"node\":"u8, out string? node) && text.Optional("\"outcome\":"u8, out string? outcome)
            && text.Optional("\"policy_hash\":"u8, out string? policy) && text.Optional("\"policy_ids\":"u8, out List<string>? ids) && text.Optional("\"reason\":"u8, out string? reason)
            && text.Optional("\"resource\":"u8, out string? resource) && text.Optional("\"span_id\":"u8, out string? span) && text.Optional("\"time\":"u8, out long? time)
            && text.Optional("\"tool\":"u8, out string? tool) && text.Optional("\"trace_id\":"u8, out string? trace) && text.Optional("\"type\":"u8, out string? type)
            && text.Leave() && id is not null && outcome is not null && time is { } at && type is not null)
        {
            return new AuditEvent
            {
                Approval = approval, ArgsDigest = digest, Cause = cause, Data = data, Decision = decision, Id = id, Jti = jti, Node = node, Outcome = outcome, PolicyHash = policy,
                PolicyIds = ids, Reason = reason, Resource = resource, SpanId = span, Time = at, Tool = tool, TraceId = trace, Type = type,
            };
        }
        return null;
    }

    private static List<PresentedEntry>? Parsed(ReadOnlySpan<byte> body)
    {
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = Limits.JsonDepth });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            return null;
        List<PresentedEntry>? entries = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var wanted = reader.ValueTextEquals("entries"u8);
            reader.Read();
            if (!wanted)
                reader.Skip();
            else if (reader.TokenType != JsonTokenType.StartArray || (entries = Entries(ref reader, body)) is null)
                return null;
        }
        return entries;
    }

    /// <summary>Entry by entry: of a body of thousands of values, what is short-lived stays small.</summary>
    private static List<PresentedEntry>? Entries(ref Utf8JsonReader reader, ReadOnlySpan<byte> body)
    {
        var (entries, chain, canonical) = (new List<PresentedEntry>(), new ChainHash(), new ArrayBufferWriter<byte>(2048));
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            var entry = JsonElement.Parse(body[start..(int)reader.BytesConsumed]);
            var e = entry.GetProperty("event");
            if (entry.GetProperty("prev").GetString() is not { } prev || e.Deserialize(RequestJson.Default.AuditEvent) is not { } read)
                return null;
            canonical.ResetWrittenCount();
            CanonicalJson.Write(e, canonical);
            entries.Add(new PresentedEntry(entry.GetProperty("seq").GetInt64(), prev, chain.After(prev, canonical.WrittenSpan), read));
            if (entries is [.., { } before, { } last] && last.Seq != before.Seq + 1)
                return null;
        }
        return entries;
    }

    /// <summary>A guard's chain: hash(n) = SHA-256(hash(n−1) ‖ canonical event n), in base64url.</summary>
    private sealed class ChainHash
    {
        private readonly ArrayBufferWriter<byte> link = new(2048);

        public string After(string prev, ReadOnlySpan<byte> canonical)
        {
            link.ResetWrittenCount();
            link.Write(Base64Url.TryDecode(prev, out var above) ? above : []);
            link.Write(canonical);
            return Base64Url.Encode(SHA256.HashData(link.WrittenSpan));
        }
    }
}
