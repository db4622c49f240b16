using FsCheck;
using FsCheck.Fluent;
using McpAuth.Protocol.Jose;

namespace McpAuth.Protocol.Tests.Jose;

public class Base64UrlTests
{
    [Theory, Trait("Spec", "RFC7515-2")]
    [InlineData("="), InlineData("AA=="), InlineData("AAA="), InlineData("A"), InlineData("AAAAA"), InlineData("AA "), InlineData("A A A"), InlineData("AA\n"), InlineData("+AAA"), InlineData("/AAA")]
    [InlineData("AB"), InlineData("AAB"), InlineData("AP"), InlineData("AAD"), InlineData("AAA."), InlineData("AAAé"), InlineData("Ａ"), InlineData("AAA\0"), InlineData("%41AA")]
    public void Base64Url_TextThatIsNotTheOneSpelling_IsRefused(string text)
    {
        Assert.False(Base64Url.TryDecode(text, out var bytes));
        Assert.Null(bytes);
    }

    [Theory, Trait("Spec", "RFC7515-C")]
    [InlineData("", new byte[0]), InlineData("A-z_4ME", new byte[] { 3, 236, 255, 224, 193 }), InlineData("AA", new byte[] { 0 }), InlineData("AAA", new byte[] { 0, 0 })]
    public void Base64Url_Text_IsDecodedAndEncodedBack(string text, byte[] expected)
    {
        Assert.True(Base64Url.TryDecode(text, out var bytes));
        Assert.Equal(expected, bytes);
        Assert.Equal(text, Base64Url.Encode(bytes));
    }

    [Fact, Trait("Spec", "RFC7515-2")]
    public void Base64Url_AnyText_IsAcceptedOnlyWhenEncodingGivesItBack() => Prop.ForAll(
        Gen.Elements("AQgwBCP9_-=+".ToCharArray()).ArrayOf().Resize(9).Select(c => new string(c)).ToArbitrary(), text =>
        {
            var accepted = Base64Url.TryDecode(text, out var bytes);
            var padded = text.Replace('-', '+').Replace('_', '/') + new string('=', (4 - text.Length % 4) % 4);
            var oneSpelling = !text.Contains('=') && !text.Contains('+') && text.Length % 4 != 1 && Convert.ToBase64String(Convert.FromBase64String(padded)) == padded;
            return accepted == oneSpelling && (!accepted || Base64Url.Encode(bytes) == text);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));

    // The access token and ath of RFC 9449 §7.1.
    [Fact, Trait("Spec", "RFC9449-4.2")]
    public void Base64Url_Sha256OfAToken_IsTheStandardsAth() =>
        Assert.Equal("fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo", Base64Url.Sha256("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"));

    [Fact]
    public void Base64Url_Sha256OfLongText_IsThatOfItsUtf8() => Assert.Equal(
        Base64Url.Encode(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(new string('é', 5000)))), Base64Url.Sha256(new string('é', 5000)));
}
