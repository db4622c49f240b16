using System.Text;

namespace McpAuth.Protocol.Text;

/// <summary>
/// Unicode Normalization Form C (UAX #15). Its own, with its own tables, because <see cref="string.IsNormalized()"/> answers true for every
/// text when the host runs in globalization-invariant mode: a decision must not depend on how the process was configured.
/// </summary>
internal static class Nfc
{
    // Below this, every character is a starter that neither decomposes out of NFC nor composes with what precedes it.
    private const char FirstOfInterest = '\u0300';
    private const int SBase = 0xAC00, LBase = 0x1100, VBase = 0x1161, TBase = 0x11A7, LCount = 19, VCount = 21, TCount = 28,
        NCount = VCount * TCount, SCount = LCount * NCount;

    /// <summary>False also for an unpaired surrogate. Linear but for the sorting of combining marks.</summary>
    public static bool IsNormalized(string text)
    {
        if (text.AsSpan().IndexOfAnyInRange(FirstOfInterest, char.MaxValue) < 0)
            return true;
        var points = new List<int>(text.Length);
        for (var i = 0; i < text.Length; i += char.IsSurrogate(text[i]) ? 2 : 1)
        {
            if (!Rune.TryGetRuneAt(text, i, out var rune))
                return false;
            points.Add(rune.Value);
        }
        var decomposed = new List<int>(points.Count);
        foreach (var point in points)
            Decompose(point, decomposed);
        Order(decomposed);
        return points.SequenceEqual(Compose(decomposed));
    }

    private static void Decompose(int point, List<int> output)
    {
        if (point - SBase is >= 0 and < SCount and var syllable)
        {
            output.Add(LBase + syllable / NCount);
            output.Add(VBase + syllable % NCount / TCount);
            if (syllable % TCount != 0)
                output.Add(TBase + syllable % TCount);
        }
        else if (NfcTable.Decompositions.TryGetValue(point, out var to))
        {
            Decompose(to.First, output);
            if (to.Second != 0)
                output.Add(to.Second); // only the first half of a mapping decomposes further
        }
        else
        {
            output.Add(point);
        }
    }

    /// <summary>The canonical ordering algorithm: each run of marks by class, equal classes as they stand.</summary>
    private static void Order(List<int> points)
    {
        for (var start = 0; start < points.Count; start++)
        {
            var end = start;
            while (end < points.Count && NfcTable.ClassOf(points[end]) != 0)
                end++;
            if (end - start > 1)
            {
                var run = points.GetRange(start, end - start).OrderBy(NfcTable.ClassOf).ToList(); // a stable sort
                for (var i = 0; i < run.Count; i++)
                    points[start + i] = run[i];
            }
            start = Math.Max(start, end - 1);
        }
    }

    /// <summary>The canonical composition algorithm: a character joins the last starter unless something between blocks it.</summary>
    private static List<int> Compose(List<int> points)
    {
        var output = new List<int>(points.Count);
        int starter = -1, between = 0; // the class of the last character kept after the starter; 0 = none
        foreach (var point in points)
        {
            var ccc = NfcTable.ClassOf(point);
            var adjacent = starter == output.Count - 1;
            if (starter >= 0 && (adjacent || between < ccc && between != 0) && Pair(output[starter], point) is { } composite)
            {
                output[starter] = composite;
                continue;
            }
            output.Add(point);
            between = ccc;
            if (ccc == 0)
                starter = output.Count - 1;
        }
        return output;
    }

    private static int? Pair(int first, int second)
    {
        if (first - LBase is >= 0 and < LCount and var l && second - VBase is >= 0 and < VCount and var v)
            return SBase + (l * VCount + v) * TCount;
        if (first - SBase is >= 0 and < SCount and var syllable && syllable % TCount == 0 && second - TBase is > 0 and < TCount and var t)
            return first + t;
        return NfcTable.Compositions.TryGetValue((first, second), out var composite) ? composite : null;
    }
}
