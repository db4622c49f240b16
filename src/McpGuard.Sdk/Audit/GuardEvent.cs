using System.Buffers;
using System.Globalization;
using System.Text;

namespace McpGuard.Sdk.Audit;

/// <summary>
/// One audit event of the guard. User, agent, client and task are the server's to fill in from <see cref="Jti"/>. Nothing here may hold
/// an argument, a token or text from a caller that was not validated.
/// </summary>
internal sealed class GuardEvent
{
    public required string Id { get; init; }
    public required long Time { get; init; }
    public required string Type { get; init; }
    public required string Outcome { get; init; }
    /// <summary>The person's yes that the decision used up.</summary>
    public string? Approval { get; init; }
    public string? ArgsDigest { get; init; }
    public string? Cause { get; init; }
    /// <summary>How many events this one stands for; 0 = not written.</summary>
    public int Count { get; init; }
    public string? Method { get; init; }
    public string? Decision { get; init; }
    public string? Jti { get; init; }
    public string? Node { get; init; }
    public string? PolicyHash { get; init; }
    public IReadOnlyList<string>? PolicyIds { get; init; }
    /// <summary>What the policies said: <c>allow</c> or <c>deny</c>.</summary>
    public string? Policy { get; init; }

    /// <summary>What other decision points answered, in the order of their names.</summary>
    public IReadOnlyList<(string Name, string Answer)>? Points { get; init; }

    /// <summary>What the policies were asked, encrypted: the text of a <see cref="McpAuth.Protocol.Audit.SealedRequest"/> in ASCII. Empty where there are none.</summary>
    public ReadOnlyMemory<byte> Request { get; init; }

    /// <summary>The version of policies that was asked beside them, and what it said.</summary>
    public (long Version, string Decision)? Shadow { get; init; }

    public string? Reason { get; init; }
    public string? Resource { get; init; }
    public string? SpanId { get; init; }

    /// <summary>The other tool server that a call went on to, and the token it used there.</summary>
    public (string Resource, string? Jti)? Downstream { get; init; }

    public string? Tool { get; init; }
    public string? TraceId { get; init; }

    /// <summary>
    /// Writes the RFC 8785 form of the <see cref="McpAuth.Protocol.Audit.AuditEvent"/> directly, members in its order: the chain's hash
    /// is taken over exactly these bytes, on the path of every call.
    /// </summary>
    public void WriteCanonical(IBufferWriter<byte> output)
    {
        bool first = true;
        output.Write("{"u8);
        Text(output, ref first, "\"approval\":"u8, Approval);
        Text(output, ref first, "\"args_digest\":"u8, ArgsDigest);
        Text(output, ref first, "\"cause\":"u8, Cause);
        if (Count > 0 || Method is not null || Policy is not null || Points is not null || Downstream is not null)
        {
            Name(output, ref first, "\"data\":"u8);
            bool inner = true;
            output.Write("{"u8);
            if (Count > 0)
            {
                Name(output, ref inner, "\"count\":"u8);
                Number(output, Count);
            }
            Text(output, ref inner, "\"jti\":"u8, Downstream?.Jti);
            Text(output, ref inner, "\"method\":"u8, Method);
            if (Points is not null)
            {
                Name(output, ref inner, "\"points\":"u8);
                output.Write("{"u8);
                for (int i = 0; i < Points.Count; i++)
                {
                    if (i > 0) output.Write(","u8);
                    Quoted(output, Points[i].Name);
                    output.Write(":"u8);
                    Quoted(output, Points[i].Answer);
                }
                output.Write("}"u8);
            }
            Text(output, ref inner, "\"policy\":"u8, Policy);
            if (!Request.IsEmpty)
            {
                Name(output, ref inner, "\"request\":\""u8);
                output.Write(Request.Span);
                output.Write("\""u8);
            }
            if (Shadow is { } shadow)
            {
                Name(output, ref inner, "\"shadow\":"u8);
                output.Write("{\"decision\":"u8);
                Quoted(output, shadow.Decision);
                output.Write(",\"version\":"u8);
                Number(output, shadow.Version);
                output.Write("}"u8);
            }
            Text(output, ref inner, "\"to\":"u8, Downstream?.Resource);
            output.Write("}"u8);
        }
        Text(output, ref first, "\"decision\":"u8, Decision);
        Text(output, ref first, "\"id\":"u8, Id);
        Text(output, ref first, "\"jti\":"u8, Jti);
        Text(output, ref first, "\"node\":"u8, Node);
        Text(output, ref first, "\"outcome\":"u8, Outcome);
        Text(output, ref first, "\"policy_hash\":"u8, PolicyHash);
        if (PolicyIds is not null)
        {
            Name(output, ref first, "\"policy_ids\":"u8);
            output.Write("["u8);
            for (int i = 0; i < PolicyIds.Count; i++)
            {
                if (i > 0) output.Write(","u8);
                Quoted(output, PolicyIds[i]);
            }
            output.Write("]"u8);
        }
        Text(output, ref first, "\"reason\":"u8, Reason);
        Text(output, ref first, "\"resource\":"u8, Resource);
        Text(output, ref first, "\"span_id\":"u8, SpanId);
        Name(output, ref first, "\"time\":"u8);
        Number(output, Time);
        Text(output, ref first, "\"tool\":"u8, Tool);
        Text(output, ref first, "\"trace_id\":"u8, TraceId);
        Text(output, ref first, "\"type\":"u8, Type);
        output.Write("}"u8);
    }

    private static void Name(IBufferWriter<byte> output, ref bool first, ReadOnlySpan<byte> name)
    {
        if (!first) output.Write(","u8);
        first = false;
        output.Write(name);
    }

    private static void Text(IBufferWriter<byte> output, ref bool first, ReadOnlySpan<byte> name, string? value)
    {
        if (value is null) return;
        Name(output, ref first, name);
        Quoted(output, value);
    }

    private static void Number(IBufferWriter<byte> output, long value)
    {
        Span<byte> span = output.GetSpan(20);
        value.TryFormat(span, out int written, default, CultureInfo.InvariantCulture);
        output.Advance(written);
    }

    /// <summary>RFC 8785 §3.2.2.2: only quotation mark, backslash and control characters are escaped, the latter in lower case.</summary>
    private static void Quoted(IBufferWriter<byte> output, string value)
    {
        Span<byte> span = output.GetSpan(2 + value.Length * 6);
        int at = 0;
        span[at++] = (byte)'"';
        if (Ascii.IsValid(value) && value.AsSpan().IndexOfAny(Escaped) < 0)
        {
            at += Encoding.ASCII.GetBytes(value, span[at..]);
        }
        else
        {
            foreach (Rune rune in value.EnumerateRunes())
            {
                ReadOnlySpan<byte> escape = rune.Value switch
                {
                    '"' => "\\\""u8, '\\' => "\\\\"u8, '\b' => "\\b"u8, '\f' => "\\f"u8, '\n' => "\\n"u8, '\r' => "\\r"u8, '\t' => "\\t"u8, _ => default,
                };
                if (escape.Length == 0 && rune.Value < ' ') escape = Encoding.ASCII.GetBytes($"\\u{rune.Value:x4}");
                if (escape.Length > 0)
                {
                    escape.CopyTo(span[at..]);
                    at += escape.Length;
                }
                else
                {
                    at += rune.EncodeToUtf8(span[at..]);
                }
            }
        }
        span[at++] = (byte)'"';
        output.Advance(at);
    }

    private static readonly SearchValues<char> Escaped = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Select(c => (char)c), '"', '\\']);
}
