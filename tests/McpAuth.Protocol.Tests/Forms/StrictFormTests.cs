using System.Globalization;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using McpAuth.Protocol.Forms;

namespace McpAuth.Protocol.Tests.Forms;

public class StrictFormTests
{
    private static readonly IReadOnlySet<string> Repeatable = new HashSet<string> { "resource", "audience" };

    private static Result<StrictForm> Parse(string body) => StrictForm.Parse(Encoding.UTF8.GetBytes(body), Repeatable);

    [Fact, Trait("Spec", "RFC6749-B")]
    public void StrictForm_EncodedValue_IsDecodedOnce()
    {
        // The sample of RFC 6749 Appendix B: SP % & + £ €.
        var form = Parse("value=+%25%26%2B%C2%A3%E2%82%AC&x=%2525").Value;
        Assert.Equal(" %&+£€", form["value"]);
        Assert.Equal("%25", form["x"]);
        Assert.Equal(["value", "x"], form.Names);
    }

    [Theory, Trait("Attack", "62"), Trait("Spec", "RFC6749-3.2")]
    [InlineData("code=a&code=a"), InlineData("code=a&x=1&code=b"), InlineData("code=a&%63ode=b"), InlineData("code=&code=b"), InlineData("code=b&code"), InlineData("grant_type=a&grant_type=b")]
    public void StrictForm_ParameterTwice_IsRefused(string body) => Assert.Equal("duplicate_parameter", Parse(body).Fault?.Code);

    [Fact, Trait("Spec", "RFC6749-3.2")]
    public void StrictForm_RepeatableParameter_KeepsAllValuesInOrder()
    {
        var form = Parse("resource=a&audience=x&resource=b&resource=").Value;
        Assert.Equal(["a", "b"], form.Values("resource"));
        Assert.Equal("a", form["resource"]);
        Assert.Equal(["resource", "audience"], form.Names);
    }

    [Theory, Trait("Spec", "RFC6749-3.2")]
    [InlineData("scope="), InlineData("scope"), InlineData(""), InlineData("&&"), InlineData("Scope=a"), InlineData("resource=&resource=")]
    public void StrictForm_ParameterWithoutValue_IsAbsent(string body)
    {
        var form = Parse(body).Value;
        Assert.Null(form["scope"]);
        Assert.False(form.TryGet("scope", out _));
        Assert.Empty(form.Values("scope"));
        Assert.DoesNotContain("scope", form.Names);
    }

    [Fact]
    public void StrictForm_NamesThatDifferInCase_AreDifferent()
    {
        var form = Parse("scope=a&Scope=b").Value;
        Assert.True(form.TryGet("scope", out var lower));
        Assert.Equal(("a", "b"), (lower, form["Scope"]));
    }

    [Theory, Trait("Spec", "RFC6749-B")]
    [InlineData("a=%"), InlineData("a=%4"), InlineData("a=%4G"), InlineData("a=%u0041"), InlineData("a=%00"), InlineData("a=\0"), InlineData("a=%FF"), InlineData("a=%C0%AF"), InlineData("a=%ED%A0%80")]
    [InlineData("=a"), InlineData("%=a"), InlineData("%00=a"), InlineData("a=%E2%82")]
    public void StrictForm_BadEncoding_IsRefused(string body) => Assert.Equal("malformed_form", Parse(body).Fault?.Code);

    [Fact, Trait("Spec", "RFC6749-B")]
    public void StrictForm_RawBytesThatAreNotUtf8_AreRefused() =>
        Assert.Equal("malformed_form", StrictForm.Parse([(byte)'a', (byte)'=', 0xFF], Repeatable).Fault?.Code);

    [Fact, Trait("Attack", "64")]
    public void StrictForm_TooManyFields_AreRefused()
    {
        string Form(int count) => string.Join('&', Enumerable.Range(0, count).Select(i => string.Create(CultureInfo.InvariantCulture, $"k{i}=v")));
        Assert.Null(Parse(Form(64)).Fault);
        Assert.Equal("too_many_fields", Parse(Form(65)).Fault?.Code);
        Assert.Equal("too_many_fields", Parse(Form(1100)).Fault?.Code);
        Assert.Equal("too_many_fields", Parse(string.Join('&', Enumerable.Repeat("resource=a", 65))).Fault?.Code);
    }

    [Fact, Trait("Spec", "RFC6749-3.1")]
    public void StrictForm_ReadWithRepeats_TellsWhichAndKeepsTheFirst()
    {
        var form = StrictForm.ParseRepeated("state=a&state=b&empty=&empty=x&resource=1&resource=2&once=y"u8, Repeatable).Value;

        Assert.Equal(["empty", "state"], form.Repeated.Order(StringComparer.Ordinal));
        Assert.Equal(("a", "y", 2), (form["state"], form["once"], form.Values("resource").Count));
        Assert.Empty(StrictForm.Parse("a=1&resource=1&resource=2"u8, Repeatable).Value.Repeated);
    }

    [Fact]
    public void StrictForm_DuplicateName_IsShownWithoutControls() =>
        Assert.Equal("a??b", Parse("a%0D%0Ab=1&a%0D%0Ab=2").Fault?.Path);

    [Fact, Trait("Spec", "RFC6749-B")]
    public void StrictForm_WhateverAFormEncoderWrites_IsReadBack() => Prop.ForAll(
        ArbMap.Default.GeneratorFor<NonEmptyString>().Select(s => s.Get).Where(s => !s.Contains('\0') && IsText(s)).Two().ToArbitrary(), pair =>
        {
            var body = new FormUrlEncodedContent([new(pair.Item1, pair.Item2)]).ReadAsByteArrayAsync().Result;
            var form = StrictForm.Parse(body, Repeatable);
            return form.Ok && form.Value[pair.Item1] == pair.Item2;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    private static bool IsText(string text) => text.EnumerateRunes().All(r => r.Value != 0xFFFD);
}
