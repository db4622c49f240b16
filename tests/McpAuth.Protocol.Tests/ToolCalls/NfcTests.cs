namespace McpAuth.Protocol.Tests.ToolCalls;

/// <summary>Through <c>path_under</c>, which is what NFC is for here. The tests run in globalization-invariant mode, as the products do.</summary>
public sealed class NfcTests
{
    [Fact]
    public void Platform_InvariantMode_CannotTellNfc() =>
        // The reason for tables of our own. Should this ever fail, the platform has learnt it, and they can go.
        Assert.True("e\u0301".IsNormalized(System.Text.NormalizationForm.FormC));

    [Theory]
    [InlineData("abc", true)]
    [InlineData("\u00c5", true)] // Å
    [InlineData("A\u030a", false)] // composes to it
    [InlineData("\u212b", false)] // ANGSTROM SIGN is Å
    [InlineData("\u2126", false)] // OHM SIGN
    [InlineData("q\u0307\u0323", false)] // marks out of order
    [InlineData("q\u0323\u0307", true)] // in order, and nothing composes
    [InlineData("\u1e0b\u0323", false)] // is ḍ and a dot above
    [InlineData("\u1e0d\u0307", true)]
    [InlineData("a\u0315\u0300", false)]
    [InlineData("\u0301", true)] // a mark alone
    [InlineData("\u0344", false)] // decomposes, never composes
    [InlineData("\u0958", false)] // excluded from composition
    [InlineData("\u0915\u093c", true)]
    [InlineData("\uac00", true)]
    [InlineData("\u1100\u1161", false)]
    [InlineData("\uac00\u11a8", false)]
    [InlineData("\uac01\u11a8", true)] // already has its final consonant
    [InlineData("\u1100\u1100\u1161", false)]
    [InlineData("\uf900", false)] // a compatibility ideograph with a canonical mapping
    [InlineData("\ufb01", true)] // the fi ligature is a matter of NFKC
    [InlineData("\ud834\udd5e", false)] // U+1D15E
    [InlineData("\ud834\udd57\ud834\udd65", true)]
    [InlineData("\ud804\udc99\ud804\udcba", false)] // U+11099 U+110BA compose
    [InlineData("\ud804\udc9a", true)]
    public void PathUnder_Segment_MustBeNfc(string segment, bool nfc) =>
        Assert.Equal(nfc, Json.TryConstraint(SubsetGoldenTests.Full("/ " + System.Text.Json.JsonSerializer.Serialize(segment))).Ok);

    [Fact]
    public async Task PathUnder_LongRunOfMarks_IsDecidedInBoundedTime()
    {
        // Alternating classes, so that a quadratic sort would do its worst.
        var marks = string.Concat(Enumerable.Repeat("\u0300\u0323", 100_000));
        var constraint = Json.Constraint(SubsetGoldenTests.Full("/ \"a\""));
        var value = Json.Of($"\"a/q{marks}\"");
        Assert.False(await Task.Run(() => constraint.Admits(value)).WaitAsync(TimeSpan.FromSeconds(30)));
    }
}
