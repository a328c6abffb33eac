//! The walk over the syntax tree of a file.
//!
//! Called by the module above for each file. Each kind of item becomes a node; each path, method call and macro
//! inside it a mention. Attributes and visibilities are looked at by name alone, so that `#[inline]` is no mention.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Expr, ExprBlock, ExprMethodCall, ExprPath, ExprUnsafe, ForeignItem, Ident,
    ImplItemConst, ImplItemFn, ItemConst, ItemEnum, ItemExternCrate, ItemFn, ItemForeignMod,
    ItemImpl, ItemMacro, ItemMod, ItemStatic, ItemStruct, ItemTrait, ItemTraitAlias, ItemType,
    ItemUnion, ItemUse, Local, Macro, Path, TraitItemConst, TraitItemFn, Type, Visibility,
};

use super::super::conditions::is_macro_export;
use super::super::model::{Def, Holder, Kind, Mention, NodeId, Route, Sort, plain};
use super::super::tokens;
use super::Scanner;

impl<'ast> Visit<'ast> for Scanner<'_> {
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_token_stream(&mut self, tokens: &'ast proc_macro2::TokenStream) {
        self.read_tokens(tokens);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.open(item);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let route = Route {
            segments: Vec::new(),
            is_global: item.leading_colon.is_some(),
        };
        let is_public = matches!(item.vis, Visibility::Public(_));
        self.import(&item.tree, &route, is_public);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast ItemExternCrate) {
        let is_self = item.ident == "self";
        let route = Route {
            segments: vec![if is_self {
                "crate".to_string()
            } else {
                plain(&item.ident)
            }],
            is_global: !is_self,
        };
        let name = item.rename.as_ref().map_or(&item.ident, |(_, name)| name);
        self.program
            .define(self.module, &plain(name), Def::Import(route));
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        let holder = self.holder.take();
        let node = self.declare(&item.sig.ident, Kind::Function, &item.attrs, &item.vis);
        self.within(node, &item.attrs, |scanner| {
            scanner.signature(&item.sig);
            visit::visit_item_fn(scanner, item);
        });
        self.holder = holder;
    }

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        let node = self.declare(&item.ident, Kind::Type, &item.attrs, &item.vis);
        self.within(node, &item.attrs, |scanner| {
            visit::visit_item_struct(scanner, item)
        });
    }

    fn visit_item_union(&mut self, item: &'ast ItemUnion) {
        let node = self.declare(&item.ident, Kind::Type, &item.attrs, &item.vis);
        self.within(node, &item.attrs, |scanner| {
            visit::visit_item_union(scanner, item)
        });
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        let node = self.declare(&item.ident, Kind::Type, &item.attrs, &item.vis);
        let variants = item.variants.iter().map(|one| plain(&one.ident));
        self.program.variants.insert(node, variants.collect());
        self.within(node, &item.attrs, |scanner| {
            visit::visit_item_enum(scanner, item)
        });
    }

    fn visit_item_type(&mut self, item: &'ast ItemType) {
        let node = self.declare(&item.ident, Kind::Type, &item.attrs, &item.vis);
        if let Some(route) = route_of(&item.ty) {
            self.program.aliases.insert(node, route);
        }
        self.within(node, &item.attrs, |scanner| {
            visit::visit_item_type(scanner, item)
        });
    }

    fn visit_item_trait_alias(&mut self, item: &'ast ItemTraitAlias) {
        let node = self.declare(&item.ident, Kind::Type, &item.attrs, &item.vis);
        self.within(node, &item.attrs, |scanner| {
            visit::visit_item_trait_alias(scanner, item)
        });
    }

    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        let node = self.constant(&item.ident, &item.attrs, &item.vis);
        self.within(node, &item.attrs, |scanner| {
            visit::visit_item_const(scanner, item)
        });
    }

    fn visit_item_static(&mut self, item: &'ast ItemStatic) {
        let node = self.constant(&item.ident, &item.attrs, &item.vis);
        self.within(node, &item.attrs, |scanner| {
            visit::visit_item_static(scanner, item)
        });
    }

    fn visit_item_foreign_mod(&mut self, item: &'ast ItemForeignMod) {
        let node = self.add("extern block".to_string(), Kind::Foreign, &item.attrs);
        self.within(node, &item.attrs, |scanner| {
            scanner.found(Sort::Foreign, item.abi.extern_token.span);
            for foreign in &item.items {
                let (ident, attributes) = match foreign {
                    ForeignItem::Fn(one) => (&one.sig.ident, &one.attrs),
                    ForeignItem::Static(one) => (&one.ident, &one.attrs),
                    ForeignItem::Type(one) => (&one.ident, &one.attrs),
                    _ => {
                        scanner.visit_foreign_item(foreign);
                        continue;
                    }
                };
                scanner
                    .program
                    .define(scanner.module, &plain(ident), Def::Node(node));
                scanner.under(attributes, |scanner| scanner.visit_foreign_item(foreign));
            }
        });
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        let outer = self.holder.take();
        let node = self.declare(&item.ident, Kind::Trait, &item.attrs, &item.vis);
        self.holder = Some(self.program.holders.len());
        self.program.nodes[node].holder = self.holder;
        self.program.holders.push(Holder {
            node,
            self_type: None,
            trait_route: None,
            is_trait: true,
            members: Vec::new(),
        });
        self.within(node, &item.attrs, |scanner| {
            if let Some(token) = &item.unsafety {
                scanner.found(Sort::Trait, token.span);
            }
            visit::visit_item_trait(scanner, item);
        });
        self.holder = outer;
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let outer = self.holder.take();
        let parameters: Vec<String> = item
            .generics
            .type_params()
            .map(|one| plain(&one.ident))
            .collect();
        let self_type = route_of(&item.self_ty)
            .filter(|route| route.segments.len() > 1 || !parameters.contains(&route.segments[0]));
        let trait_route = item.trait_.as_ref().map(|(_, path, _)| Route::of(path));
        let last = |route: &Route| route.segments.last().cloned().unwrap_or_default();
        let type_name = self_type.as_ref().map_or("_".to_string(), last);
        let name = match &trait_route {
            Some(route) => format!("<{type_name} as {}>", last(route)),
            None => type_name,
        };
        let node = self.add(name, Kind::Implementation, &item.attrs);
        self.holder = Some(self.program.holders.len());
        self.program.nodes[node].holder = self.holder;
        self.program.holders.push(Holder {
            node,
            self_type,
            trait_route,
            is_trait: false,
            members: Vec::new(),
        });
        self.within(node, &item.attrs, |scanner| {
            if let Some(token) = &item.unsafety {
                scanner.found(Sort::Implementation, token.span);
            }
            visit::visit_item_impl(scanner, item);
        });
        self.holder = outer;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        let node = self.member(&item.sig.ident, Kind::Function, &item.attrs);
        self.program.nodes[node].is_public = matches!(item.vis, Visibility::Public(_));
        self.within(node, &item.attrs, |scanner| {
            scanner.signature(&item.sig);
            visit::visit_impl_item_fn(scanner, item);
        });
    }

    fn visit_impl_item_const(&mut self, item: &'ast ImplItemConst) {
        let node = self.member(&item.ident, Kind::Constant, &item.attrs);
        self.within(node, &item.attrs, |scanner| {
            visit::visit_impl_item_const(scanner, item)
        });
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        let node = self.member(&item.sig.ident, Kind::Function, &item.attrs);
        self.within(node, &item.attrs, |scanner| {
            scanner.signature(&item.sig);
            visit::visit_trait_item_fn(scanner, item);
        });
    }

    fn visit_trait_item_const(&mut self, item: &'ast TraitItemConst) {
        let node = self.member(&item.ident, Kind::Constant, &item.attrs);
        self.within(node, &item.attrs, |scanner| {
            visit::visit_trait_item_const(scanner, item)
        });
    }

    fn visit_item_macro(&mut self, item: &'ast ItemMacro) {
        let Some(ident) = &item.ident else {
            self.item_macro(item);
            return;
        };
        let name = plain(ident);
        let node = self.declare(ident, Kind::Macro, &item.attrs, &Visibility::Inherited);
        self.program.nodes[node].name = format!("{name}!");
        self.program
            .macros
            .entry(name.clone())
            .or_default()
            .push(node);
        if is_macro_export(&item.attrs) {
            self.program.nodes[node].is_public = true;
            let root = self.program.units[self.unit].root;
            self.program.define(root, &name, Def::Node(node));
        }
        self.within(node, &item.attrs, |scanner| {
            scanner.read_tokens(&item.mac.tokens)
        });
    }

    fn visit_expr_unsafe(&mut self, block: &'ast ExprUnsafe) {
        self.under(&block.attrs, |scanner| {
            scanner.found(Sort::Block, block.unsafe_token.span);
            visit::visit_expr_unsafe(scanner, block);
        });
    }

    fn visit_expr_block(&mut self, block: &'ast ExprBlock) {
        self.under(&block.attrs, |scanner| {
            visit::visit_expr_block(scanner, block)
        });
    }

    fn visit_local(&mut self, local: &'ast Local) {
        self.under(&local.attrs, |scanner| visit::visit_local(scanner, local));
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        self.mention(Mention::Method(plain(&call.method)));
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        if path.qself.is_some()
            && let Some(last) = path.path.segments.last()
        {
            // `<T as Trait>::name` is a call by name, whatever the path before it leads to.
            self.mention(Mention::Method(plain(&last.ident)));
        }
        visit::visit_expr_path(self, path);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        self.mention(Mention::Path(Route::of(path)));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        let name = call.path.segments.last().map(|one| plain(&one.ident));
        if name.as_deref() == Some("include") {
            self.note(call.path.span(), "include! is not followed".to_string());
        }
        let Some(statements) = tokens::statements(&call.tokens) else {
            self.read_tokens(&call.tokens);
            return;
        };
        let outer = self.are_alarms_taken;
        if !outer {
            for span in tokens::Words::of(&call.tokens).alarms {
                self.found(Sort::Macro, span);
            }
        }
        self.are_alarms_taken = true;
        statements.iter().for_each(|one| self.visit_stmt(one));
        self.are_alarms_taken = outer;
    }

    fn visit_expr(&mut self, expression: &'ast Expr) {
        visit::visit_expr(self, expression);
    }
}

/// The path of a type, through references and brackets; for a trait object that of its trait.
fn route_of(found: &Type) -> Option<Route> {
    match found {
        Type::Path(path) if path.qself.is_none() => Some(Route::of(&path.path)),
        Type::Reference(inner) => route_of(&inner.elem),
        Type::Paren(inner) => route_of(&inner.elem),
        Type::Group(inner) => route_of(&inner.elem),
        Type::TraitObject(object) => object.bounds.iter().find_map(|bound| match bound {
            syn::TypeParamBound::Trait(bound) => Some(Route::of(&bound.path)),
            _ => None,
        }),
        _ => None,
    }
}

impl Scanner<'_> {
    fn signature(&mut self, signature: &syn::Signature) {
        if let Some(token) = &signature.unsafety {
            self.found(Sort::Function, token.span);
        }
    }

    /// A constant by its name; one without a name belongs to the module.
    fn constant(
        &mut self,
        ident: &Ident,
        attributes: &[Attribute],
        visibility: &Visibility,
    ) -> NodeId {
        let node = self.declare(ident, Kind::Constant, attributes, visibility);
        if ident == "_" {
            let module = self.program.modules[self.module].node;
            self.program.nodes[module]
                .mentions
                .push(Mention::Node(node));
        }
        node
    }

    /// A node under its name in the holder of the moment.
    fn member(&mut self, ident: &Ident, kind: Kind, attributes: &[Attribute]) -> NodeId {
        let name = plain(ident);
        let Some(holder) = self.holder else {
            // Only a holder has such items.
            return self.add(name, kind, attributes);
        };
        let around = self.program.holders[holder].node;
        let title = format!("{}::{name}", self.program.nodes[around].name);
        let node = self.add(title, kind, attributes);
        self.program.holders[holder].members.push((name, node));
        node
    }

    /// A macro called where items stand: its items when it takes items, else a node that its module brings along.
    fn item_macro(&mut self, item: &ItemMacro) {
        let last = item.mac.path.segments.last().map(|one| plain(&one.ident));
        let name = format!("{}!(..)", last.unwrap_or_default());
        let node = self.add(name, Kind::Macro, &item.attrs);
        let module = self.program.modules[self.module].node;
        self.program.nodes[module]
            .mentions
            .push(Mention::Node(node));
        self.within(node, &item.attrs, |scanner| {
            let Some(items) = tokens::items(&item.mac.tokens) else {
                scanner.visit_macro(&item.mac);
                return;
            };
            scanner.visit_path(&item.mac.path);
            let outer = (scanner.is_in_macro, scanner.node);
            scanner.is_in_macro = true;
            items.iter().for_each(|item| scanner.visit_item(item));
            (scanner.is_in_macro, scanner.node) = outer;
        });
    }
}
