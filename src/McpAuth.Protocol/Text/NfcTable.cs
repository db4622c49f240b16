using System.Collections.Frozen;
using System.Globalization;

namespace McpAuth.Protocol.Text;

/// <summary>The tables of <c>nfc.txt</c>, read once, when the first text comes that needs them.</summary>
internal static class NfcTable
{
    private static readonly FrozenDictionary<int, int> Classes;

    static NfcTable()
    {
        var classes = new Dictionary<int, int>();
        var decompositions = new Dictionary<int, (int, int)>();
        var compositions = new Dictionary<(int, int), int>();
        foreach (var line in Lines())
        {
            var field = line.Split(' ');
            var point = Point(field[1]);
            if (field[0] == "c")
            {
                for (var last = Point(field[2]); point <= last; point++)
                    classes.Add(point, int.Parse(field[3], CultureInfo.InvariantCulture));
                continue;
            }
            var to = (Point(field[2]), field.Length > 3 ? Point(field[3]) : 0);
            decompositions.Add(point, to);
            if (field[0] == "d")
                compositions.Add(to, point);
        }
        Classes = classes.ToFrozenDictionary();
        Decompositions = decompositions.ToFrozenDictionary();
        Compositions = compositions.ToFrozenDictionary();
    }

    /// <summary>One step; <c>Second</c> is 0 for a mapping to one character.</summary>
    public static FrozenDictionary<int, (int First, int Second)> Decompositions { get; }

    /// <summary>The primary composites.</summary>
    public static FrozenDictionary<(int First, int Second), int> Compositions { get; }

    /// <summary>The canonical combining class; 0 for starters.</summary>
    public static int ClassOf(int point) => Classes.GetValueOrDefault(point);

    private static IEnumerable<string> Lines()
    {
        using var stream = typeof(NfcTable).Assembly.GetManifestResourceStream("McpAuth.Protocol.Text.nfc.txt")
            ?? throw new InvalidOperationException("nfc.txt is not embedded.");
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (!line.StartsWith('#'))
                yield return line;
        }
    }

    private static int Point(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
