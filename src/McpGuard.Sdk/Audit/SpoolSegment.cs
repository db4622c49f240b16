using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;

namespace McpGuard.Sdk.Audit;

/// <summary>One append-only file of the spool: a header line that says where the chain stood, then entries.</summary>
/// <param name="Before">Where the chain stood before the first entry.</param>
internal sealed record SpoolSegment(string Path, SpoolHead Before)
{
    private const string Extension = ".spool";
    private const int LongestLine = 1 << 20;

    public long First => Before.Seq + 1;

    public static SpoolSegment At(string directory, SpoolHead before) =>
        new(System.IO.Path.Combine(directory, before.Seq.ToString("D19", CultureInfo.InvariantCulture) + Extension), before);

    /// <summary>The segments of a directory, oldest first.</summary>
    /// <exception cref="InvalidDataException">A header is damaged or belongs to another guard.</exception>
    public static IReadOnlyList<SpoolSegment> List(string directory, string guardId)
    {
        var segments = new List<SpoolSegment>();
        string[] files = Directory.GetFiles(directory, "*" + Extension);
        Array.Sort(files, StringComparer.Ordinal);
        foreach (string file in files)
        {
            using var reader = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite), Encoding.UTF8);
            // Without its line feed it is torn too: nothing can follow it.
            SpoolHeader? header = reader.ReadLine() is { } line && line.Length < new FileInfo(file).Length ? Header(line) : null;
            // A crash between creating a segment and its header's write leaves a last file without one.
            if (header is null && file == files[^1] && reader.EndOfStream && new FileInfo(file).Length < LongestLine)
            {
                File.Delete(file);
                continue;
            }
            if (header is null || header.Guard != guardId) throw new InvalidDataException($"{file} is not a segment of {guardId}'s spool.");
            segments.Add(new SpoolSegment(file, new SpoolHead(header.Seq, Base64Url.DecodeFromChars(header.Prev))));
        }
        return segments;
    }

    public SafeFileHandle Create(string guardId, out long length)
    {
        SafeFileHandle handle = File.OpenHandle(Path, FileMode.Create, FileAccess.Write, FileShare.Read);
        byte[] header = [.. JsonSerializer.SerializeToUtf8Bytes(new SpoolHeader(guardId, Base64Url.EncodeToString(Before.Hash), Before.Seq), SpoolJson.Default.SpoolHeader), (byte)'\n'];
        try
        {
            RandomAccess.Write(handle, header, 0);
        }
        catch
        {
            // Without its header it would stand between good segments, and the next start would take the spool for damaged.
            handle.Dispose();
            File.Delete(Path);
            throw;
        }
        length = header.Length;
        return handle;
    }

    public SafeFileHandle Append() => File.OpenHandle(Path, FileMode.Open, FileAccess.Write, FileShare.Read);

    /// <summary>Follows the chain through the file.</summary>
    /// <returns>Where it stands at the end, how long the intact part is, and how many bytes of a torn last write follow it.</returns>
    /// <exception cref="InvalidDataException">Something inside is damaged: that is no torn tail, and nothing is dropped silently.</exception>
    public (SpoolHead Head, long Intact, long Torn) Follow()
    {
        byte[] all = File.ReadAllBytes(Path);
        int at = all.AsSpan().IndexOf((byte)'\n') + 1;
        SpoolHead head = Before;
        while (at < all.Length)
        {
            int length = all.AsSpan(at).IndexOf((byte)'\n');
            if (length < 0 || SpoolLine.Read(all.AsSpan(at, length), head) is not { } next) break;
            head = next;
            at += length + 1;
        }
        for (int rest = at; rest < all.Length;)
        {
            int length = all.AsSpan(rest).IndexOf((byte)'\n');
            if (length < 0) break;
            if (SpoolLine.Looks(all.AsSpan(rest, length)))
                throw new InvalidDataException($"{Path} is damaged after entry {head.Seq}. Keep the state directory for the auditor, and enrol the guard anew in an empty one.");
            rest += length + 1;
        }
        return (head, at, all.Length - at);
    }

    private static SpoolHeader? Header(string? line)
    {
        try
        {
            return line is null ? null : JsonSerializer.Deserialize(line, SpoolJson.Default.SpoolHeader);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

internal sealed record SpoolHeader(string Guard, string Prev, long Seq);

[System.Text.Json.Serialization.JsonSerializable(typeof(SpoolHeader))]
internal sealed partial class SpoolJson : System.Text.Json.Serialization.JsonSerializerContext;
