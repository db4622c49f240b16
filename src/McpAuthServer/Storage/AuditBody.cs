using System.Buffers;
using System.Globalization;
using System.Text;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Json;

namespace McpAuthServer.Storage;

/// <summary>
/// What is stored of an event, and what its Merkle leaf is made of: its RFC 8785 form without <c>seq</c>. Written straight from the record, in
/// the order of the scheme, because it runs for every event on the thread that everyone waits for.
/// </summary>
internal static class AuditBody
{
    /// <summary>RFC 8785 §3.2.2.2 escapes these and nothing else.</summary>
    private static readonly SearchValues<char> Escaped = SearchValues.Create(
        string.Concat(Enumerable.Range(0, 0x20).Select(c => (char)c)) + "\"\\");

    /// <summary>Appends the canonical UTF-8 bytes of <paramref name="e"/>. A lone surrogate becomes U+FFFD: an event is recorded whatever it quotes.</summary>
    public static void Write(AuditEvent e, IBufferWriter<byte> output)
    {
        // RFC 8785 §3.2.3: members in the order of their names' code units.
        var first = true;
        Member(output, ref first, "agent"u8, e.Agent);
        Member(output, ref first, "approval"u8, e.Approval);
        Member(output, ref first, "args_digest"u8, e.ArgsDigest);
        Member(output, ref first, "cause"u8, e.Cause);
        Member(output, ref first, "chain"u8, e.Chain);
        Member(output, ref first, "client"u8, e.Client);
        if (e.Data is not null)
        {
            Name(output, ref first, "data"u8);
            CanonicalJson.Write(e.Data, output);
        }
        Member(output, ref first, "decision"u8, e.Decision);
        Member(output, ref first, "grant"u8, e.Grant);
        Member(output, ref first, "id"u8, e.Id);
        Member(output, ref first, "instance"u8, e.Instance);
        Member(output, ref first, "jti"u8, e.Jti);
        Member(output, ref first, "node"u8, e.Node);
        Member(output, ref first, "outcome"u8, e.Outcome);
        Member(output, ref first, "parent_task"u8, e.ParentTask);
        Member(output, ref first, "policy_hash"u8, e.PolicyHash);
        Member(output, ref first, "policy_ids"u8, e.PolicyIds);
        Member(output, ref first, "reason"u8, e.Reason);
        Member(output, ref first, "resource"u8, e.Resource);
        Member(output, ref first, "span_id"u8, e.SpanId);
        Member(output, ref first, "task"u8, e.Task);
        Name(output, ref first, "time"u8);
        Number(output, e.Time);
        Member(output, ref first, "tool"u8, e.Tool);
        Member(output, ref first, "trace_id"u8, e.TraceId);
        Member(output, ref first, "type"u8, e.Type);
        Member(output, ref first, "user"u8, e.User);
        output.Write("}"u8);
    }

    private static void Name(IBufferWriter<byte> output, ref bool first, ReadOnlySpan<byte> name)
    {
        output.Write(first ? "{\""u8 : ",\""u8);
        output.Write(name);
        output.Write("\":"u8);
        first = false;
    }

    private static void Member(IBufferWriter<byte> output, ref bool first, ReadOnlySpan<byte> name, string? value)
    {
        if (value is null) return;
        Name(output, ref first, name);
        Text(output, value);
    }

    private static void Member(IBufferWriter<byte> output, ref bool first, ReadOnlySpan<byte> name, IReadOnlyList<string>? values)
    {
        if (values is null) return;
        Name(output, ref first, name);
        output.Write("["u8);
        for (var i = 0; i < values.Count; i++)
        {
            if (i > 0) output.Write(","u8);
            Text(output, values[i]);
        }
        output.Write("]"u8);
    }

    private static void Number(IBufferWriter<byte> output, long value)
    {
        var room = output.GetSpan(20);
        value.TryFormat(room, out var written, provider: CultureInfo.InvariantCulture);
        output.Advance(written);
    }

    private static void Text(IBufferWriter<byte> output, ReadOnlySpan<char> text)
    {
        output.Write("\""u8);
        for (int stop; (stop = text.IndexOfAny(Escaped)) >= 0; text = text[(stop + 1)..])
        {
            Encoding.UTF8.GetBytes(text[..stop], output);
            Escape(output, text[stop]);
        }
        Encoding.UTF8.GetBytes(text, output);
        output.Write("\""u8);
    }

    private static void Escape(IBufferWriter<byte> output, char c)
    {
        var known = c switch
        {
            '"' => "\\\""u8,
            '\\' => "\\\\"u8,
            '\b' => "\\b"u8,
            '\t' => "\\t"u8,
            '\n' => "\\n"u8,
            '\f' => "\\f"u8,
            '\r' => "\\r"u8,
            _ => default,
        };
        if (known.IsEmpty) Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"), output);
        else output.Write(known);
    }
}
