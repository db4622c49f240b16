using System.Text.Json;
using McpAuth.Protocol.Messages;

namespace McpGuard.Sdk.Audit;

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

    /// <summary>The next entries; empty when there are none yet.</summary>
    public IReadOnlyList<SpoolEntry> Read()
    {
        long upTo = spool.LastDurable;
        while (Place(upTo))
        {
            List<SpoolEntry> entries = ReadHere(upTo);
            if (entries.Count > 0) return entries;
            // Nothing more in this segment: the next one begins where this one ended, or there is none yet.
            if (spool.Segments().FirstOrDefault(s => s.First == Next) is not { } following || following.Path == path) return [];
            Enter(following);
        }
        return [];
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
        while (Next < wanted && Skip())
        {
        }
        return true;
    }

    private void Enter(SpoolSegment segment)
    {
        file?.Dispose();
        file = new FileStream(segment.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1);
        (path, position, Next) = (segment.Path, 0, segment.First - 1);
        Skip(); // the header
    }

    private bool Skip()
    {
        int line = Fill().IndexOf((byte)'\n');
        if (line < 0) return false;
        position += line + 1;
        Next++;
        return true;
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

    private List<SpoolEntry> ReadHere(long upTo)
    {
        var entries = new List<SpoolEntry>();
        ReadOnlySpan<byte> rest = Fill();
        int bytes = 0;
        while (entries.Count < LongestBatch && Next <= upTo)
        {
            int line = rest.IndexOf((byte)'\n');
            // One that is longer goes alone: the server takes only so much at once.
            if (line < 0 || (entries.Count > 0 && bytes + line > LongestBytes)) break;
            bytes += line;
            SpoolEntry entry = JsonSerializer.Deserialize(rest[..line], ProtocolJson.Default.SpoolEntry)!;
            if (entry.Seq != Next) throw new InvalidDataException($"{path} holds entry {entry.Seq} where {Next} was expected.");
            entries.Add(entry);
            position += line + 1;
            rest = rest[(line + 1)..];
            Next++;
        }
        return entries;
    }

    public void Dispose() => file?.Dispose();
}
