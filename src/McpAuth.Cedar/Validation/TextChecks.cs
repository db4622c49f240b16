using System.Globalization;
using System.Text;
using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Validation;

/// <summary>Warnings about names and texts that look like others: letters of several scripts, characters that change the direction of what follows.</summary>
internal static class TextChecks
{
    public static void Check(PolicyBody policy, PolicyFindings findings)
    {
        CheckScope(policy.Principal, findings);
        foreach (EntityUid action in policy.Action.Actions) CheckEntity(action, default, findings);
        CheckScope(policy.Resource, findings);
        foreach (Expr part in policy.Conditions.SelectMany(c => ExprParts.Of(c.Expression))) Check(part, findings);
    }

    private static void CheckScope(EntityScope scope, PolicyFindings findings)
    {
        if (scope.Entity is not null) CheckEntity(scope.Entity, default, findings);
    }

    private static void Check(Expr expression, PolicyFindings findings)
    {
        switch (expression)
        {
            case LiteralExpr { Value.AsEntity: { } entity }: CheckEntity(entity, expression.Span, findings); break;
            case LiteralExpr { Value.AsString: { } text }: CheckText(text, expression.Span, findings); break;
            case LikeExpr e: CheckText(string.Concat(e.Pattern.Pieces), expression.Span, findings); break;
            case AttributeExpr e: CheckName(e.Name, expression.Span, findings); break;
            case HasExpr e: CheckName(e.Name, expression.Span, findings); break;
            case RecordExpr e:
                foreach (string name in e.Names) CheckName(name, expression.Span, findings);
                break;
        }
    }

    // A type's name is ASCII by the grammar.
    private static void CheckEntity(EntityUid entity, SourceSpan span, PolicyFindings findings) => CheckName(entity.Id, span, findings);

    private static void CheckName(string name, SourceSpan span, PolicyFindings findings)
    {
        if (Ascii.IsValid(name)) return;
        if (IsTurned(name)) findings.Warning("bidirectional_name", $"The name {Shown(name)} has characters that change the direction of text.", span);
        else if (Confusing(name) is { } rune) findings.Warning("confusable_name", $"The name {Shown(name)} has the character U+{rune.Value:X4}, which can be taken for another one.", span);
        else if (!Scripts.IsSingle(name)) findings.Warning("mixed_script_name", $"The name {Shown(name)} has letters of several scripts.", span);
    }

    private static void CheckText(string text, SourceSpan span, PolicyFindings findings)
    {
        if (Ascii.IsValid(text)) return;
        if (IsTurned(text)) findings.Warning("bidirectional_text", $"The text {Shown(text)} has characters that change the direction of text.", span);
        else if (!Scripts.IsSingle(text)) findings.Warning("mixed_script_text", $"The text {Shown(text)} has letters of several scripts.", span);
    }

    /// <summary>Embeddings, overrides and isolates (Unicode Standard Annex #9).</summary>
    private static bool IsTurned(string text) => text.AsSpan().IndexOfAnyInRange('\u202A', '\u202E') >= 0 || text.AsSpan().IndexOfAnyInRange('\u2066', '\u2069') >= 0;

    /// <summary>What no identifier should have (Unicode Technical Standard #39): all but letters, their marks, digits and joining punctuation.</summary>
    private static Rune? Confusing(string name)
    {
        foreach (Rune rune in name.EnumerateRunes())
        {
            if (rune.IsAscii) continue;
            UnicodeCategory category = Rune.GetUnicodeCategory(rune);
            bool plain = Rune.IsLetter(rune) || category is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.DecimalDigitNumber or
                UnicodeCategory.ConnectorPunctuation;
            if (!plain) return rune;
        }
        return null;
    }

    private static string Shown(string text)
    {
        var shown = new StringBuilder("\"");
        StringEscapes.Append(shown, text.Length <= 60 ? text : text.AsSpan(0, 60));
        return shown.Append('"').ToString();
    }
}
