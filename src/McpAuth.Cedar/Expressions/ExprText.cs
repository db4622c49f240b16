namespace McpAuth.Cedar.Expressions;
internal static class ExprText { public static string Of(Expr e) => e.ToString() ?? ""; }
