using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Validation.Types;

namespace McpAuth.Cedar.Validation;

/// <summary>What the type checker found out about each part of a condition, for those who look at it again.</summary>
internal sealed class TypedParts
{
    private readonly Dictionary<Expr, StaticType?> types = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<Expr, int> kept = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<Expr, Expr> taken = new(ReferenceEqualityComparer.Instance);

    public void Add(Expr expression, StaticType? type) => types[expression] = type;

    /// <summary>Only so many operands are ever looked at.</summary>
    public void Keep(ChainExpr chain, int operands) => kept[chain] = operands;

    /// <summary>It is always this branch.</summary>
    public void Take(IfExpr choice, Expr branch) => taken[choice] = branch;

    public StaticType? TypeOf(Expr expression) => types.GetValueOrDefault(expression);

    public IEnumerable<Expr> OperandsOf(ChainExpr chain) => chain.Operands.Take(kept.GetValueOrDefault(chain, int.MaxValue));

    public IEnumerable<Expr> BranchesOf(IfExpr choice) => taken.TryGetValue(choice, out Expr? only) ? [only] : [choice.Then, choice.Otherwise];
}
