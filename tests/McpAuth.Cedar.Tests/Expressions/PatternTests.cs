using System.Diagnostics;
using FsCheck;
using FsCheck.Fluent;
using McpAuth.Cedar.Expressions;

namespace McpAuth.Cedar.Tests.Expressions;

[Trait("Spec", "Cedar-like")]
public sealed class PatternTests
{
    [Theory]
    [InlineData("", "", true)]
    [InlineData("", "a", false)]
    [InlineData("*", "", true)]
    [InlineData("a", "a", true)]
    [InlineData("a*", "ab", true)]
    [InlineData("*a", "ba", true)]
    [InlineData("a*a", "a", false)]
    [InlineData("a*a", "aa", true)]
    [InlineData("*ab*ab*", "aab", false)]
    [InlineData("**", "x", true)]
    [InlineData("*é*", "caféé", true)]
    public void Pattern_Matches(string pattern, string text, bool expected) => Assert.Equal(expected, new Pattern(pattern.Split('*')).Matches(text));

    /// <summary>Against a table of which prefixes match which, over two letters, with pieces on both sides of the length where the search changes.</summary>
    [Fact]
    public void AnyPattern_MatchesWhatATableOfPrefixesSays()
    {
        Gen<string> text = Gen.Elements('a', 'a', 'a', 'b').ArrayOf().Select(c => new string(c));
        Gen<string> piece = Gen.OneOf(text.Resize(4), text.Resize(40));
        int matched = 0, tests = 0;
        Prop.ForAll((from pieces in piece.NonEmptyListOf().Resize(5)
                     from gaps in text.Resize(30).ArrayOf(pieces.Count)
                     from any in text.Resize(60)
                     from fits in Gen.Elements(true, true, false)
                     select (Pieces: pieces.ToArray(), Text: fits ? string.Concat(pieces.Zip(gaps, (p, g) => g + p))[gaps[0].Length..] : any)).ToArbitrary(), sample =>
        {
            bool matches = new Pattern(sample.Pieces).Matches(sample.Text);
            tests++;
            if (matches) matched++;
            return matches == Oracle(sample.Pieces, sample.Text);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(5000));
        Assert.InRange(matched, tests / 5, tests * 4 / 5);
    }

    /// <summary>The piece fits at every other place up to its middle; to compare it anew there takes the product of the lengths.</summary>
    [Fact]
    public void LongPieceThatNearlyFits_TakesLinearTime()
    {
        string half = string.Concat(Enumerable.Repeat("ac", 150_000));
        string text = string.Concat(Enumerable.Repeat("ac", 3_000_000));
        var watch = Stopwatch.StartNew();
        Assert.False(new Pattern("", half + "ab" + half, "").Matches(text));
        Assert.True(new Pattern("", half + "ab" + half, "").Matches(text + "ab" + half));
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), watch.Elapsed.ToString());
    }

    private static bool Oracle(string[] pieces, string text)
    {
        var elements = new List<char?>();
        for (int i = 0; i < pieces.Length; i++)
        {
            if (i > 0) elements.Add(null);
            foreach (char c in pieces[i]) elements.Add(c);
        }
        bool[] row = new bool[text.Length + 1];
        row[0] = true;
        foreach (char? element in elements)
        {
            var next = new bool[text.Length + 1];
            for (int i = 0; i <= text.Length; i++)
                next[i] = element is null ? row[i] || (i > 0 && next[i - 1]) : i > 0 && row[i - 1] && text[i - 1] == element;
            row = next;
        }
        return row[^1];
    }
}
