namespace McpAuth.Cedar.Values;

/// <summary>
/// A text that is there for one decision, in memory that the next one uses again. Of type String like any other; nothing that outlives the decision may hold it,
/// and so nobody outside a decision is given one.
/// </summary>
internal sealed class PassingText
{
    private char[] characters = [];
    private int filled, length;
    private string? text;

    public int Capacity => characters.Length;

    public ReadOnlySpan<char> Characters => characters.AsSpan(0, length);

    /// <summary>Memory for so many characters, to be filled before <see cref="Take"/>.</summary>
    public Span<char> Room(int count)
    {
        if (characters.Length < count) characters = new char[Math.Max(count, 64)];
        filled = Math.Max(filled, count);
        return characters.AsSpan(0, count);
    }

    /// <summary>So many of the characters in its memory are its text.</summary>
    public void Take(int count) => length = count;

    /// <summary>Forgets the text: arguments are confidential.</summary>
    public void Clear()
    {
        characters.AsSpan(0, filled).Clear();
        (filled, length, text) = (0, 0, null);
    }

    /// <summary>The text as an object of its own, made when it is first asked for.</summary>
    public override string ToString() => text ??= new string(Characters);
}

/// <summary>The passing texts of one decision after another.</summary>
internal sealed class PassingTexts
{
    /// <summary>Longer ones are not kept.</summary>
    private const int Longest = 16 * 1024;

    private readonly List<PassingText> all = [];
    private int used;

    /// <summary>The next; it is another's next again until <see cref="Use"/>.</summary>
    public PassingText Next
    {
        get
        {
            if (used == all.Count) all.Add(new PassingText());
            return all[used];
        }
    }

    public Value Use(int characters)
    {
        PassingText text = all[used++];
        text.Take(characters);
        return Value.OfPassing(text);
    }

    /// <summary>The decision is over.</summary>
    public void Clear()
    {
        // Also the one that was filled and not used.
        for (int i = 0; i <= used && i < all.Count; i++)
        {
            all[i].Clear();
            if (all[i].Capacity > Longest) all[i] = new PassingText();
        }
        used = 0;
    }
}
