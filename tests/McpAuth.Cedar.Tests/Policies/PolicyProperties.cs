using System.Text;
using FsCheck;
using FsCheck.Fluent;
using McpAuth.Cedar.Policies;

namespace McpAuth.Cedar.Tests.Policies;

public sealed class PolicyProperties
{
    private static readonly Config Many = Config.QuickThrowOnFailure.WithMaxTest(2000);

    [Fact, Trait("Spec", "Cedar-policies")]
    public void AnyPolicy_WrittenAndRead_IsTheSame()
    {
        int chars = 0;
        Prop.ForAll(PolicyGenerator.Policies.ToArbitrary(), policy =>
        {
            string text = policy.ToCedar();
            chars += text.Length;
            return PolicySet.Parse(text).TryGet(out PolicySet? read) && read.TryGet("policy0", out Policy? same) && SamePolicy.Are(policy, same) && same.ToCedar() == text;
        }).Check(Many);
        Assert.True(chars > 200_000, $"{chars} characters prove little");
    }

    [Fact, Trait("Spec", "Cedar-policies-json")]
    public void AnyPolicy_WrittenAsJsonAndRead_IsTheSame() =>
        Prop.ForAll(PolicyGenerator.Policies.ToArbitrary(), policy =>
        {
            string json = new PolicySet([policy]).ToJson();
            return PolicySet.ParseJson(Encoding.UTF8.GetBytes(json)).TryGet(out PolicySet? read) && read.TryGet("policy0", out Policy? same) && SamePolicy.Are(policy, same) &&
                read.ToJson() == json && PolicySet.ParseJson(Encoding.UTF8.GetBytes(policy.ToJson())).Ok;
        }).Check(Many);

    /// <summary>Whatever is cut out of a text or put into it, there is a set or there are errors.</summary>
    [Fact]
    public void AnyBrokenPolicy_IsAValueOrErrorsWithAPlace()
    {
        int refused = 0;
        Prop.ForAll((from policy in PolicyGenerator.Policies
                     from at in Gen.Choose(0, 10_000)
                     from cut in Gen.Choose(0, 4)
                     from added in Gen.Elements("", "(", ")", "{", "}", "[", "\"", "\\", ";", "::", ".", "!", "-", "if", " has ", " in ", "@", "?", "\0", "\ud800", "//", "=", "&&", "x", "1")
                     select (policy, at, cut, added)).ToArbitrary(), broken =>
        {
            string text = broken.policy.ToCedar(), json = broken.policy.ToJson();
            Parsed<PolicySet> read = PolicySet.Parse(Spoilt(text, broken.at, broken.cut, broken.added));
            Parsed<PolicySet> readJson = PolicySet.ParseJson(Encoding.UTF8.GetBytes(Spoilt(json, broken.at, broken.cut, broken.added)));
            if (!read.Ok) refused++;
            return (read.Ok || (read.Diagnostics.Count > 0 && read.Diagnostics.All(d => d.Where is not null && d.Render().Length > 0))) &&
                (readJson.Ok || (readJson.Diagnostics.Count > 0 && readJson.Diagnostics.All(d => d.Path is not null)));
        }).Check(Many);
        Assert.True(refused > 500, $"{refused} refused: the generator proves little");
    }

    private static string Spoilt(string text, int at, int cut, string added)
    {
        at %= text.Length;
        return string.Concat(text.AsSpan(0, at), added, text.AsSpan(Math.Min(text.Length, at + cut)));
    }
}
