using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Values;

/// <summary>A text in memory that is used again is a text like any other while it is there, and nothing is left of it afterwards.</summary>
public sealed class PassingTextTests
{
    [Theory]
    [InlineData(""), InlineData("a"), InlineData("CH"), InlineData("\u00e9\ud83d\ude00"), InlineData("a text that is longer than the memory that is taken at first, which has room for sixty-four")]
    public void Text_IsTheSameValueAsAnObjectOfItsOwn(string text)
    {
        var texts = new PassingTexts();
        // In memory that held something longer.
        Passing(texts, new string('x', 200));
        texts.Clear();
        Value passing = Passing(texts, text), own = Value.Of(text), again = Passing(texts, text);
        Assert.Equal(ValueKind.String, passing.Kind);
        Assert.False(passing.IsNone);
        Assert.Equal(text, passing.AsString);
        Assert.Same(passing.AsString, passing.AsString);
        Assert.Equal((true, true, true, true), (passing == own, own == passing, passing == again, passing == Passing(texts, text)));
        Assert.Equal(own.GetHashCode(), passing.GetHashCode());
        Assert.Equal((own.ToString(), own.ToJson()), (passing.ToString(), passing.ToJson()));
        Assert.True(new CedarSet([own, Value.Of(1)]).Contains(passing));
        Assert.True(new CedarSet([passing, Value.Of(1)]).Contains(own));
        foreach (Value other in new[] { Value.Of(text + "x"), Passing(texts, text + "x"), Value.Of(text.ToUpperInvariant() + "y"), Value.Of(1), Value.True, default, Value.Of(new CedarSet([own])) })
            Assert.False(passing == other || other == passing);
    }

    [Fact]
    public void Cleared_NothingOfItIsLeft()
    {
        var texts = new PassingTexts();
        PassingText used = texts.Next;
        Assert.Equal("secret", Passing(texts, "secret").AsString);
        PassingText unused = texts.Next;
        "half".CopyTo(unused.Room(10));
        texts.Clear();
        Assert.Same(used, texts.Next);
        Assert.Equal("", used.ToString());
        Assert.Equal((new string('\0', 6), new string('\0', 10)), (new string(used.Room(6)), new string(unused.Room(10))));
    }

    [Fact]
    public void VeryLong_ItsMemoryIsNotKept()
    {
        var texts = new PassingTexts();
        PassingText large = texts.Next;
        Passing(texts, new string('x', 100_000));
        texts.Clear();
        Assert.NotSame(large, texts.Next);
    }

    private static Value Passing(PassingTexts texts, string text)
    {
        text.CopyTo(texts.Next.Room(text.Length));
        return texts.Use(text.Length);
    }
}
