using System.Buffers;
using System.Text;

namespace McpAuth.Protocol.Json;

/// <summary>
/// The member names seen so far in one text, each with the object it belongs to: one hash table over rented memory. Names are
/// compared after case folding, and hashed with the platform's keyed hash, so that chosen names cannot make it slow.
/// </summary>
internal ref struct MemberNames
{
    private int[] buckets;
    private Entry[] entries;
    private char[] text;
    private int count, used;

    public MemberNames()
    {
        buckets = Rent<int>(64);
        Array.Clear(buckets);
        entries = Rent<Entry>(64);
        text = Rent<char>(1024);
    }

    /// <summary>Room for a name of up to this many UTF-16 code units; pass what was written there to <see cref="Add"/>.</summary>
    public Span<char> Room(int length)
    {
        if (text.Length - used < length)
            Grow(ref text, used, checked(used + length));
        return text.AsSpan(used);
    }

    /// <summary>Folds and remembers the name of <paramref name="length"/> units that now stands in <see cref="Room"/>; false when its object has it.</summary>
    public bool Add(int owner, int length)
    {
        var name = text.AsSpan(used, length);
        if (!Ascii.IsValid(name))
            Fold(name);
        // ASCII letters are folded by the comparison and by the hash themselves.
        var hash = (string.GetHashCode(name, StringComparison.OrdinalIgnoreCase) * 397) ^ (owner * -1640531535);
        var mask = BucketCount - 1;
        for (var i = buckets[hash & mask] - 1; i >= 0; i = entries[i].Next)
            if (entries[i].Hash == hash && entries[i].Owner == owner
                && name.Equals(text.AsSpan(entries[i].Start, entries[i].Length), StringComparison.OrdinalIgnoreCase))
                return false;

        if (count == BucketCount)
            mask = Rehash();
        if (count == entries.Length)
            Grow(ref entries, count, count * 2);
        entries[count] = new(hash, owner, used, length, buckets[hash & mask] - 1);
        buckets[hash & mask] = ++count;
        used += length;
        return true;
    }

    public readonly void Dispose()
    {
        ArrayPool<int>.Shared.Return(buckets);
        ArrayPool<Entry>.Shared.Return(entries);
        // Names are the sender's; they do not outlive the parse in a shared pool.
        ArrayPool<char>.Shared.Return(text, clearArray: true);
    }

    /// <summary>
    /// Simple case folding. It joins everything that ordinal ignore-case joins, and also what other readers fold (Go's
    /// <c>EqualFold</c>: KELVIN SIGN with k, LONG S with s).
    /// </summary>
    private static void Fold(Span<char> name)
    {
        for (var i = 0; i < name.Length;)
        {
            if (Rune.DecodeFromUtf16(name[i..], out var rune, out var length) != OperationStatus.Done)
            {
                i++;
                continue;
            }
            var folded = rune.Value == 0x17F ? new Rune('S')
                : Rune.ToUpperInvariant(Rune.ToLowerInvariant(Rune.ToUpperInvariant(rune)));
            if (folded.Utf16SequenceLength == length)
                folded.EncodeToUtf16(name[i..]);
            i += length;
        }
    }

    private readonly int BucketCount => (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)buckets.Length + 1) / 2;

    private int Rehash()
    {
        ArrayPool<int>.Shared.Return(buckets);
        buckets = Rent<int>(count * 2);
        Array.Clear(buckets);
        var mask = BucketCount - 1;
        for (var i = 0; i < count; i++)
        {
            ref var bucket = ref buckets[entries[i].Hash & mask];
            entries[i] = entries[i] with { Next = bucket - 1 };
            bucket = i + 1;
        }
        return mask;
    }

    private static T[] Rent<T>(int length) => ArrayPool<T>.Shared.Rent(length);

    private static void Grow<T>(ref T[] array, int filled, int needed)
    {
        var larger = Rent<T>(Math.Max(needed, array.Length * 2));
        array.AsSpan(0, filled).CopyTo(larger);
        ArrayPool<T>.Shared.Return(array);
        array = larger;
    }

    private readonly record struct Entry(int Hash, int Owner, int Start, int Length, int Next);
}
