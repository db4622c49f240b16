using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary>
/// Makes nodes of expressions. Constants are built once (literal sets, <c>ip("10.0.0.0/8")</c>), reads of the context are numbered
/// (<see cref="ContextPaths"/>), entity names and attribute names that are equal become one object, so that comparing them is comparing references.
/// </summary>
/// <param name="argumentPrefix">
/// Where a call's arguments are attributes of the context and of the resource too (<c>arg_</c>): how their names start. They are read from one place.
/// </param>
internal sealed class Compiler(string? argumentPrefix = null)
{
    private readonly Dictionary<string, string> names = new(StringComparer.Ordinal);
    private readonly Dictionary<EntityUid, EntityUid> uids = [];

    public ContextPaths Paths { get; } = new();

    /// <summary>What was compiled since this was set reads this of the context.</summary>
    public ContextReads Reads { get; set; } = new();

    /// <summary>Every text that the policies hold, so that a reader of data can give the same objects.</summary>
    public IReadOnlyDictionary<string, string> Names => names;

    /// <summary>The one object for this name.</summary>
    public EntityUid Intern(EntityUid uid) => uids.TryGetValue(uid, out EntityUid? known) ? known : uids[uid] = NameTable.Keep(uid);

    /// <summary>As deep as the expression, hence bounded (<see cref="Limits.Depth"/>).</summary>
    public Node Compile(Expr expression) => expression switch
    {
        LiteralExpr literal => Constant(literal.Value),
        VariableExpr variable => Variable(variable.Variable),
        ChainExpr chain => chain.And ? new AndNode(All(chain.Operands)) : new OrNode(All(chain.Operands)),
        IfExpr conditional => new IfNode(Compile(conditional.Condition), Compile(conditional.Then), Compile(conditional.Otherwise)),
        UnaryExpr unary => Unary(unary),
        BinaryExpr binary => Binary(binary.Operator, Compile(binary.Left), Compile(binary.Right)),
        AttributeExpr attribute => Attribute(attribute),
        HasExpr has => Has(has),
        LikeExpr like => new LikeNode(Compile(like.Target), like.Pattern),
        IsExpr test => new IsNode(Compile(test.Target), Intern(test.Type)),
        SetExpr set => Set(All(set.Members)),
        RecordExpr record => Record([.. record.Names.Select(Intern)], All(record.Values)),
        CallExpr call => Call(call.Function, All(call.Arguments)),
        _ => throw new ArgumentException($"No node for {expression.GetType().Name}.", nameof(expression)),
    };

    /// <inheritdoc cref="Intern(EntityUid)"/>
    public string Intern(string name) => names.TryGetValue(name, out string? known) ? known : names[name] = NameTable.Keep(name);

    private Node[] All(IReadOnlyList<Expr> expressions) => [.. expressions.Select(Compile)];

    private ConstantNode Constant(Value value)
    {
        if (value.AsEntity is { } uid) return new(Value.Of(Intern(uid)));
        return new(value.AsString is { } text ? Value.Of(Intern(text)) : value);
    }

    private Node Variable(Variable variable)
    {
        switch (variable)
        {
            case Expressions.Variable.Principal: return new PrincipalNode();
            case Expressions.Variable.Action: return new ActionNode();
            case Expressions.Variable.Resource: return new ResourceNode();
            default:
                Reads.Whole();
                return new ContextNode();
        }
    }

    private Node Attribute(AttributeExpr attribute)
    {
        if (PathOf(attribute) is { } path)
        {
            Reads.Value(path);
            return new ContextPathNode(path);
        }
        Node target = Compile(attribute.Target);
        string name = Intern(attribute.Name);
        if (!IsArgument(name)) return new AttributeNode(target, name);
        int argument = Paths.Add(-1, name);
        Reads.Value(argument);
        return new ArgumentNode(target, name, argument);
    }

    private Node Has(HasExpr has)
    {
        string name = Intern(has.Name);
        if (TargetPath(has.Target) is { } parent)
        {
            int path = Paths.Add(parent, name);
            Reads.Presence(path);
            return new HasContextPathNode(path);
        }
        Node target = Compile(has.Target);
        if (!IsArgument(name)) return new HasNode(target, name);
        int argument = Paths.Add(-1, name);
        Reads.Presence(argument);
        return new HasArgumentNode(target, name, argument);
    }

    private bool IsArgument(string name) => argumentPrefix is not null && name.StartsWith(argumentPrefix, StringComparison.Ordinal);

    /// <summary>The number of <c>context.a.b</c>; null when the expression is anything else.</summary>
    private int? PathOf(AttributeExpr attribute) =>
        TargetPath(attribute.Target) is { } parent ? Paths.Add(parent, Intern(attribute.Name)) : null;

    private int? TargetPath(Expr target) => target switch
    {
        VariableExpr { Variable: Expressions.Variable.Context } => -1,
        AttributeExpr attribute => PathOf(attribute),
        _ => null,
    };

    private Node Unary(UnaryExpr unary)
    {
        Node operand = Compile(unary.Operand);
        return unary.Operator switch
        {
            UnaryOperator.Not => new NotNode(operand),
            UnaryOperator.IsEmpty => new IsEmptyNode(operand),
            _ => operand is ConstantNode { Value: var value } && value.TryGetLong(out long number) && number != long.MinValue
                ? new ConstantNode(Value.Of(-number))
                : new NegateNode(operand),
        };
    }

    private static Node Binary(BinaryOperator op, Node left, Node right) => op switch
    {
        BinaryOperator.Equal => new EqualNode(left, right, negated: false),
        BinaryOperator.NotEqual => new EqualNode(left, right, negated: true),
        BinaryOperator.In => new InNode(left, right),
        BinaryOperator.Contains => new ContainsNode(left, right),
        BinaryOperator.ContainsAll or BinaryOperator.ContainsAny => new ContainsManyNode(op, left, right),
        BinaryOperator.GetTag => new GetTagNode(left, right),
        BinaryOperator.HasTag => new HasTagNode(left, right),
        BinaryOperator.Add or BinaryOperator.Subtract or BinaryOperator.Multiply => new ArithmeticNode(op, left, right),
        _ => new CompareNode(op, left, right),
    };

    private static Node Set(Node[] members)
    {
        if (!members.All(m => m is ConstantNode)) return new SetNode(members);
        return new ConstantNode(Value.Of(new CedarSet([.. members.Select(m => ((ConstantNode)m).Value)])));
    }

    private static Node Record(string[] names, Node[] members)
    {
        if (!members.All(m => m is ConstantNode)) return new RecordNode(names, members);
        return new ConstantNode(Value.Of(new CedarRecord(names.Zip(members, (name, m) => KeyValuePair.Create(name, ((ConstantNode)m).Value)))));
    }

    private static Node Call(ExtensionFunction function, Node[] arguments)
    {
        if (arguments.Length != function.Parameters.Count) return new MiscalledNode(function, arguments);
        if (arguments.Length == 2)
            return function.Operation == ExtensionOperation.IsInRange ? new IsInRangeNode(function, arguments[0], arguments[1]) : new BinaryCallNode(function, arguments[0], arguments[1]);
        if (arguments[0] is not ConstantNode { Value: var argument }) return new UnaryCallNode(function, arguments[0]);
        Value value = ExtensionOperations.Apply(function, [argument]);
        return value.IsNone ? new FailingNode(CallFailure.Of(function, argument)) : new ConstantNode(value);
    }
}
