using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Validation;

/// <summary>An open slot in the scope of a template, which stands where a linked policy has an entity.</summary>
internal sealed class SlotExpr(SourceSpan span, bool ofPrincipal) : Expr(span, 1)
{
    /// <summary>Whether this is <c>?principal</c>, and not <c>?resource</c>.</summary>
    public bool OfPrincipal { get; } = ofPrincipal;
}
