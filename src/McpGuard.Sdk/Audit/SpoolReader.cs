namespace McpGuard.Sdk.Audit;

/// <summary>Entries that follow each other, as they are delivered.</summary>
/// <param name="Body">A <see cref="McpAuth.Protocol.Messages.GuardAuditRequest"/>.</param>
internal sealed record SpoolBatch(long First, long Last, byte[] Body);

/// <summary>Reads the spool's entries in order, across segments, up to what is on the disk.</summary>
internal sealed class SpoolReader(Spool spool) : IDisposable
{
    private const int LongestBatch = 500, LongestBytes = 512 * 1024;

    private byte[] chunk = new byte[LongestBytes];
    private FileStream? file;
    private string? path;
    private long position;

    /// <summary>The next entry to be read; 0 = the oldest there is.</summary>
    public long Next { get; private set; }

    /// <summary>The next entries; null when there are none yet.</summary>
    public SpoolBatch? Read()
    {
        long upTo = spool.LastDurable;
        while (Place(upTo))
        {
            if (ReadHere(upTo) is { } batch) return batch;
            // Nothing more in this segment: the next one begins where this one ended, or there is none yet.
            if (spool.Segments().FirstOrDefault(s => s.First == Next) is not { } following || following.Path == path) return null;
            Enter(following);
        }
        return null;
    }

    /// <summary>Continues at an entry that was read before.</summary>
    public void GoTo(long seq)
    {
        (Next, path) = (seq, null);
    }

    private bool Place(long upTo)
    {
        if (path is not null) return Next <= upTo;
        SpoolSegment[] segments = spool.Segments();
        if (segments.Length == 0) return false;
        long wanted = Math.Max(Next, segments[0].First);
        if (wanted > upTo) return false;
        Enter(segments.Last(s => s.First <= wanted));
        SkipTo(wanted);
        return true;
    }

    private void Enter(SpoolSegment segment)
    {
        file?.Dispose();
        file = new FileStream(segment.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1);
        (path, position, Next) = (segment.Path, 0, segment.First - 1);
        SkipTo(segment.First); // past the header
    }

    /// <summary>Passes over lines, a chunk of the file at a time.</summary>
    private void SkipTo(long wanted)
    {
        while (Next < wanted)
        {
            ReadOnlySpan<byte> all = Fill(), rest = all;
            while (Next < wanted && rest.IndexOf((byte)'\n') is >= 0 and var line)
            {
                rest = rest[(line + 1)..];
                Next++;
            }
            if (rest.Length == all.Length) return;
            position += all.Length - rest.Length;
        }
    }

    /// <summary>What comes next, with one whole line at least if there is one.</summary>
    private ReadOnlySpan<byte> Fill()
    {
        while (true)
        {
            int count = RandomAccess.Read(file!.SafeFileHandle, chunk, position);
            ReadOnlySpan<byte> read = chunk.AsSpan(0, count);
            if (count < chunk.Length || read.Contains((byte)'\n')) return read;
            chunk = new byte[checked(chunk.Length * 2)];
        }
    }

    private SpoolBatch? ReadHere(long upTo)
    {
        ReadOnlySpan<byte> all = Fill(), rest = all;
        long first = Next;
        while (Next - first < LongestBatch && Next <= upTo)
        {
            int line = rest.IndexOf((byte)'\n');
            // One that is longer goes alone: the server takes only so much at once.
            if (line < 0 || (Next > first && all.Length - rest.Length + line > LongestBytes)) break;
            if (SpoolLine.SeqOf(rest[..line]) is var seq && seq != Next) throw new InvalidDataException($"{path} holds entry {seq} where {Next} was expected.");
            rest = rest[(line + 1)..];
            Next++;
        }
        if (Next == first) return null;
        ReadOnlySpan<byte> lines = all[..^rest.Length];
        position += lines.Length;
        return new SpoolBatch(first, Next - 1, Body(lines));
    }

    /// <summary>A line is an entry, and its end is where the next one begins.</summary>
    private static byte[] Body(ReadOnlySpan<byte> lines)
    {
        ReadOnlySpan<byte> head = "{\"entries\":["u8, tail = "]}"u8;
        byte[] body = GC.AllocateUninitializedArray<byte>(head.Length + lines.Length - 1 + tail.Length);
        head.CopyTo(body);
        lines[..^1].CopyTo(body.AsSpan(head.Length));
        body.AsSpan(head.Length, lines.Length - 1).Replace((byte)'\n', (byte)',');
        tail.CopyTo(body.AsSpan(body.Length - tail.Length));
        return body;
    }

    public void Dispose() => file?.Dispose();
}
